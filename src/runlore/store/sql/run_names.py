"""Names for runs that were given none: "calm-otter-512"."""

from __future__ import annotations

import random

_ADJECTIVES = (
    "able amber apt avid bold brave brief bright brisk calm candid clear clever cool cosy crisp curious daring deft "
    "eager early easy exact fair fancy fast fine firm fleet fond frank free fresh full gentle glad golden good grand "
    "great green handy happy hardy honest humble ideal jolly jovial keen kind large lively loyal lucid lucky lunar "
    "mellow merry mild modest neat nimble noble novel patient placid plain polite prime proud quick quiet rapid rare "
    "ready royal rustic sharp shiny silent silver simple smart smooth snug solid sound spry steady stoic sunny swift "
    "tidy tender true upbeat vivid warm wise witty "
)
_ANIMALS = (
    "adder alpaca badger bat bear beaver bee bison boar camel carp cat cod colt condor coral cow crab crane cricket crow "
    "deer dingo dove duck eagle eel egret elk emu falcon ferret finch fox frog gecko gnu goat goose gull hare hawk hen "
    "heron horse ibex ibis iguana jay kestrel kiwi koala lamb lark lemur linnet lion llama lobster lynx magpie marmot "
    "marten mink mole moose moth mouse mule newt okapi orca oriole osprey otter owl ox panda parrot perch pigeon pike "
    "pony puffin puma quail rabbit raven robin rook salmon seal shark sheep shrew skink sloth snail snipe sparrow squid "
    "stoat stork swan swift tapir tern tiger toad trout turtle viper vole walrus weasel whale wolf wombat wren yak zebra "
)
_FIRST, _SECOND = _ADJECTIVES.split(), _ANIMALS.split()
_random = random.Random()  # of its own: the user's seed must not decide run names, nor naming advance the user's generator


def random_name() -> str:
    """An adjective, an animal and a number below 1,000."""
    return f"{_random.choice(_FIRST)}-{_random.choice(_SECOND)}-{_random.randrange(1_000)}"
