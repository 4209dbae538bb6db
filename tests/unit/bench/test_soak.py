"""What counts as growth in the long run."""

from tests.bench.soak import growth


def test_growth_is_what_comes_after_the_settling_whatever_a_single_look_says() -> None:
    edge = [90.0, 95.0, 98.0, 99.0, 100.0, 101.0, 180.0, 102.0, 103.0, 104.0, 60.0]
    assert growth([{"edge": mb, "hop": 50.0} for mb in edge]) == {"edge": (101.0, 103.0), "hop": (50.0, 50.0)}
