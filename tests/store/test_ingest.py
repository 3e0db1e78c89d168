"""Group commit: everybody gets their own answer, an answer means that it is on the disk, a bad operation harms nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runlore.api.experiments import CreateExperiment
from runlore.api.operation import Operation
from runlore.api.runs import CreateRun, GetRun, LogBatch, LogParam, MetricPoint, ParamEntry, SetTag
from runlore.entities import Empty
from runlore.exceptions import AlreadyExists, InvalidParameter, LimitExceeded, NotFound, Unavailable
from runlore.store import ingest
from runlore.store.base import Store, open_store
from runlore.store.ingest import Ingest
from runlore.store.sql.database import Transaction
from runlore.store.sql.sqlite import SqliteDatabase, driver
from runlore.store.sql.store import SqlStore

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> SqlStore:
    """A store with its database in this process."""
    store = new_store(request.param)
    assert isinstance(store, SqlStore)
    return store


@contextmanager
def writing_blocked(store: SqlStore) -> Iterator[None]:
    """Somebody else is writing: what is submitted has to wait.

    With the store's own copy of SQLite: the locks of a file belong to a process, two copies in one do not see each other's.
    """
    if store.uri.startswith("sqlite"):
        with closing(driver().connect(store.uri.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    else:
        with psycopg.connect(store.uri) as other:
            other.execute("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
            yield
            other.rollback()


def create(store: Store) -> str:
    return store.call(CreateRun()).run.info.run_id


def params(store: Store, run_id: str) -> dict[str, str]:
    return store.call(GetRun(run_id=run_id)).run.data.params


def test_a_bad_operation_among_good_ones_is_refused_alone(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    sql_store.call(LogParam(run_id=run_id, key="taken", value="1"))
    with writing_blocked(sql_store):
        good = [sql_store.submit(LogParam(run_id=run_id, key=f"k{i}", value=str(i))) for i in range(20)]
        bad: list[Future[Any]] = [
            sql_store.submit(LogParam(run_id=run_id, key="taken", value="2")),
            sql_store.submit(LogParam(run_id="a" * 32, key="x", value="2")),
        ]
        good += [sql_store.submit(LogParam(run_id=run_id, key=f"k{i}", value=str(i))) for i in range(20, 40)]
    assert [future.result() for future in good] == [Empty()] * 40
    with pytest.raises(InvalidParameter, match="Changing param values"):
        bad[0].result()
    with pytest.raises(NotFound):
        bad[1].result()
    assert params(sql_store, run_id) == {"taken": "1"} | {f"k{i}": str(i) for i in range(40)}


def test_an_unexpected_error_reaches_its_caller_and_nobody_else(tmp_path: Path) -> None:
    def answer(db: Transaction, operation: Operation[Any]) -> Any:
        assert isinstance(operation, SetTag)
        db.execute("INSERT INTO t VALUES (?)", (operation.key,))
        return 1 // int(operation.value)

    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        transaction = database.write()
        transaction.execute("CREATE TABLE t (key TEXT)")
        transaction.commit()
        with closing(Ingest(database, answer)) as writer:
            futures = [writer.submit(SetTag(run_id="", key=str(i), value=str(i))) for i in range(3)]
            with pytest.raises(ZeroDivisionError):
                futures[0].result()
            assert [future.result() for future in futures[1:]] == [1, 0]
            with database.read() as db:
                assert db.all("SELECT key FROM t") == [("1",), ("2",)]


def test_waiting_operations_share_a_transaction(sql_store: SqlStore) -> None:
    create(sql_store)
    with writing_blocked(sql_store):
        futures = [sql_store.submit(CreateRun()) for _ in range(200)]
    times = {future.result().run.info.start_time for future in futures}  # the time of the transaction
    assert len(times) <= 3  # some may have been on their way, the rest goes in groups of 100


def test_what_is_acknowledged_is_seen_by_others(sql_store: SqlStore) -> None:
    run_ids = [create(sql_store) for _ in range(4)]
    with closing(open_store(sql_store.uri)) as other:

        def work(worker: int) -> int:
            run_id, seen = run_ids[worker % 4], 0
            for i in range(25):
                key = f"{worker}.{i}"
                sql_store.call(LogBatch(run_id=run_id, params=[ParamEntry(key=key, value=key)]))
                seen += params(other, run_id)[key] == key
            return seen

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [25] * 8
    assert sum(len(params(sql_store, run_id)) for run_id in run_ids) == 200


def test_two_stores_write_the_same_runs_at_once(sql_store: SqlStore) -> None:
    run_ids = [create(sql_store) for _ in range(3)]
    with closing(open_store(sql_store.uri)) as other:

        def work(worker: int) -> None:
            store = (sql_store, other)[worker % 2]
            for i in range(20):
                for run_id in run_ids if worker < 2 else reversed(run_ids):
                    point = MetricPoint(key="m", value=float(worker), timestamp=i, step=worker)
                    store.call(LogBatch(run_id=run_id, metrics=[point], params=[ParamEntry(key=f"{worker}.{i}", value="")]))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    for run_id in run_ids:
        assert len(params(sql_store, run_id)) == 80


def test_one_of_two_that_take_a_name_at_once_gets_it(sql_store: SqlStore) -> None:
    with closing(open_store(sql_store.uri)) as other:
        start = threading.Barrier(2)

        def work(store: Store) -> list[bool]:
            won = []
            for i in range(20):
                start.wait()
                try:
                    store.call(CreateExperiment(name=f"e{i}"))
                    won.append(True)
                except AlreadyExists:
                    won.append(False)
            return won

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(work, (sql_store, other))
    assert [one != two for one, two in zip(first, second, strict=True)] == [True] * 20


def test_a_full_queue_says_so(new_store: Callable[[str], Store]) -> None:
    store = new_store("sqlite")
    assert isinstance(store, SqlStore)
    run_id = create(store)
    futures: list[Future[Empty]] = []

    def fill_the_queue() -> None:
        for i in range(ingest.CAPACITY + ingest.GROUP + 1):
            futures.append(store.submit(SetTag(run_id=run_id, key="t", value=str(i))))

    with writing_blocked(store), pytest.raises(LimitExceeded, match="Try again later"):
        fill_the_queue()
    assert len(futures) >= ingest.CAPACITY
    assert {future.result() for future in futures} == {Empty()}
    assert store.call(GetRun(run_id=run_id)).run.data.tags["t"] == str(len(futures) - 1)


def test_a_cancelled_operation_is_not_carried_out(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    with writing_blocked(sql_store):
        first = sql_store.submit(LogParam(run_id=run_id, key="first", value=""))
        while not first.running():
            pass
        second = sql_store.submit(LogParam(run_id=run_id, key="second", value=""))
        assert second.cancel()
        third = sql_store.submit(LogParam(run_id=run_id, key="third", value=""))
    third.result()
    assert params(sql_store, run_id) == {"first": "", "third": ""}


def test_closing_writes_what_waits(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    futures = [sql_store.submit(LogParam(run_id=run_id, key=str(i), value="")) for i in range(1_200)]
    sql_store.close()
    assert all(future.result() == Empty() for future in futures)
    with pytest.raises(Unavailable, match="closed"):
        sql_store.call(LogParam(run_id=run_id, key="late", value=""))
    with closing(open_store(sql_store.uri)) as again:
        assert len(params(again, run_id)) == 1_200


def test_chores_run_when_nobody_waits_and_harm_nobody(tmp_path: Path) -> None:
    done = threading.Event()
    calls: list[str] = []

    def failing(db: Transaction) -> bool:
        calls.append("failing")
        raise ValueError("a mistake in a chore")

    def long(db: Transaction) -> bool:
        db.execute("INSERT INTO t VALUES (?)", (len(calls),))
        calls.append("long")
        if calls.count("long") == 3:
            done.set()
        return not done.is_set()

    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        transaction = database.write()
        transaction.execute("CREATE TABLE t (key BIGINT)")
        transaction.commit()
        with closing(Ingest(database, lambda db, operation: Empty(), [failing, long])) as writer:
            assert done.wait(30)
            assert writer.submit(SetTag(run_id="", key="", value="")).result() == Empty()
        with database.read() as db:
            assert db.one("SELECT COUNT(*) FROM t") == (calls.count("long"),)
    assert calls[:4] == ["failing", "long", "failing", "long"]


@pytest.mark.parametrize("acknowledged", [3, 200])
def test_killing_the_process_loses_nothing_that_was_acknowledged(sql_store: SqlStore, acknowledged: int) -> None:
    run_id = create(sql_store)
    command = [sys.executable, "-m", "tests.store.child", "write", sql_store.uri, run_id]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        seen = [child.stdout.readline().strip() for _ in range(acknowledged)]
        child.kill()
        seen += [line.strip() for line in child.stdout if line.endswith("\n")]
    stored = params(sql_store, run_id)
    assert [key for key in seen if stored.get(key) != key] == []
    assert sql_store.call(GetRun(run_id=run_id)).run.data.metrics.keys() == stored.keys()  # batches are whole


def run_child(*args: str, before: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-m", "tests.store.child", *args], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_forked_process_has_a_writer_of_its_own(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    run_child("fork", sql_store.uri, run_id)
    assert params(sql_store, run_id) == {"parent before": "", "child": "", "parent after": ""}


def test_a_forked_process_may_outlive_its_parents_store(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    sql_store.close()  # another open store would keep the write-ahead log where it is
    run_child("outlive", sql_store.uri, run_id)
    with closing(open_store(sql_store.uri, artifacts="file:///nowhere")) as again:
        assert params(again, run_id) == {"parent": "", "child before": "", "child after": ""}


def test_forks_of_a_busy_process_lose_nothing_and_never_hang(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    run_child("fork-while-busy", sql_store.uri, run_id)
    assert {f"child {number}" for number in range(8)} <= params(sql_store, run_id).keys()


def test_nothing_is_queued_behind_the_end(sql_store: SqlStore) -> None:
    run_id = create(sql_store)
    answers: list[object] = []

    def write() -> None:
        for i in range(1_000_000):
            try:
                answers.append(sql_store.call(LogParam(run_id=run_id, key=f"{threading.get_ident()}.{i}", value="")))
            except Unavailable:
                return

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(answers) < 20:
        time.sleep(0.001)
    sql_store.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    tmpfs = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"', "sh")
    if subprocess.run([*tmpfs, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets us make no small file system (unshare, mount)")
    assert run_child("full", str(tmp_path), before=tmpfs) == "survived"


def test_after_a_disk_error_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    assert run_child("error", str(tmp_path)) == "stopped"


# -- operations that are carried out where they came in ------------------------------------------------------------------------


def carried_out(store: SqlStore, *operations: Operation[Any]) -> list[Future[Any]]:
    """Carry out operations in this thread, by whose end they have been answered."""
    futures: list[Future[Any]] = [Future() for _ in operations]
    assert store.carry_out(list(zip(operations, futures, strict=True)))
    assert all(future.done() for future in futures)
    return futures


@pytest.fixture
def sqlite_store(new_store: Callable[[str], Store]) -> SqlStore:
    store = new_store("sqlite")
    assert isinstance(store, SqlStore)
    return store


def test_a_group_is_carried_out_in_the_calling_thread(sqlite_store: SqlStore) -> None:
    run_id = create(sqlite_store)
    done = carried_out(sqlite_store, *[LogParam(run_id=run_id, key=str(i), value="") for i in range(10)])
    with closing(open_store(sqlite_store.uri)) as other:
        assert params(other, run_id) == {str(i): "" for i in range(10)}
    assert [future.result() for future in done] == [Empty()] * 10


def test_a_bad_operation_of_such_a_group_is_refused_alone(sqlite_store: SqlStore) -> None:
    run_id = create(sqlite_store)
    first, bad, last = carried_out(
        sqlite_store,
        LogParam(run_id=run_id, key="a", value="1"),
        LogParam(run_id=run_id, key="a", value="2"),
        LogParam(run_id=run_id, key="b", value="3"),
    )
    with pytest.raises(InvalidParameter, match="Changing param values"):
        bad.result()
    assert first.result() == last.result() == Empty()
    assert params(sqlite_store, run_id) == {"a": "1", "b": "3"}


def test_nothing_is_carried_out_while_others_write(sqlite_store: SqlStore) -> None:
    run_id = create(sqlite_store)
    operation, future = LogParam(run_id=run_id, key="a", value=""), Future[Any]()
    with writing_blocked(sqlite_store):
        assert not sqlite_store.carry_out([(operation, future)])
    assert not future.done()
    assert params(sqlite_store, run_id) == {}
    assert sqlite_store.submit(operation).result() == Empty()
    sqlite_store.close()
    assert not sqlite_store.carry_out([(operation, future)])


def test_nothing_is_carried_out_for_who_waits_on_a_network(new_store: Callable[[str], Store]) -> None:
    store = new_store("postgres")
    assert isinstance(store, SqlStore)
    run_id = create(store)
    assert not store.carry_out([(LogParam(run_id=run_id, key="a", value=""), Future())])
    assert params(store, run_id) == {}


def test_slow_commits_are_left_to_the_writer_thread(sqlite_store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = create(sqlite_store)
    monkeypatch.setattr(ingest, "QUICK_SECONDS", -1.0)  # no commit is as quick as that
    assert not sqlite_store.carry_out([(LogParam(run_id=run_id, key="a", value=""), Future())])
    monkeypatch.setattr(ingest, "QUICK_SECONDS", 60.0)
    carried_out(sqlite_store, LogParam(run_id=run_id, key="a", value=""))


def test_both_ways_at_once_lose_nothing(sqlite_store: SqlStore) -> None:
    run_ids = [create(sqlite_store) for _ in range(4)]

    def work(worker: int) -> None:
        for i in range(50):
            operation = LogParam(run_id=run_ids[worker], key=str(i), value="")
            future: Future[Any] = Future()
            if not sqlite_store.carry_out([(operation, future)]):
                future = sqlite_store.submit(operation)
            assert future.result() == Empty()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert [len(params(sqlite_store, run_id)) for run_id in run_ids] == [50] * 4


def test_chores_follow_what_was_carried_out_elsewhere(tmp_path: Path) -> None:
    rounds = threading.Semaphore(0)

    def chore(db: Transaction) -> bool:
        rounds.release()
        return False

    with (
        closing(SqliteDatabase(tmp_path / "x.db")) as database,
        closing(Ingest(database, lambda db, operation: Empty(), [chore])) as writer,
    ):
        for _ in range(3):
            assert rounds.acquire(timeout=30)
            while not writer.carry_out([(SetTag(run_id="", key="", value=""), Future())]):
                pass  # the thread is still at its chores
