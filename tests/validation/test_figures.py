"""The pictures of a run: all that the log has data for, none that it has not."""

from xml.etree import ElementTree

from dmpcrl_ctrl.validation.figures import pictures
from tests.validation.conftest import ShortRun


def test_a_distributed_run_has_all_pictures(short_run: ShortRun) -> None:
    drawn = pictures(short_run.run)
    keys = [picture.key for picture in drawn]
    of_mpc = ["residuals-mpc", "central-mpc", "certificates-mpc", "solve-time-mpc"]
    assert keys == ["states", "inputs", "disturbances", "cost", *of_mpc]
    texts = {picture.key: "".join(ElementTree.fromstring(picture.svg).itertext()) for picture in drawn}
    for words in ("dtheta [rad]", "domega [rad/s]", "dPm [p.u.]", "dPv [p.u.]", "time [s]"):
        assert words in texts["states"]
    assert "dPref [p.u.]" in texts["inputs"]
    assert "dPL [p.u.]" in texts["disturbances"]
    assert "ADMM iteration" in texts["residuals-mpc"]
    assert "largest KKT residual" in texts["certificates-mpc"]
    assert "sample time 1000 ms" in texts["solve-time-mpc"]


def test_pictures_come_out_the_same_every_time(short_run: ShortRun) -> None:
    assert [p.svg for p in pictures(short_run.run)] == [p.svg for p in pictures(short_run.run)]
