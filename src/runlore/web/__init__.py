"""What a server of ours is made of, whatever it serves: requests and replies, checks of hosts and senders, limits of
connections, sockets, processes, access log and counters. The tracking server and the scoring server stand on it."""
