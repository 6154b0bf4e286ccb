"""What is no FMU 2.0 for co-simulation is told in one line, and nothing of it is unpacked."""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dmpcrl_ctrl.cosim.adapters.fmu_export import export_plant
from dmpcrl_ctrl.cosim.adapters.fmu_file import describe, unpack
from dmpcrl_ctrl.errors import FMUError

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
MODEL_EXCHANGE = (
    f'{HEAD}<fmiModelDescription fmiVersion="2.0" modelName="m" guid="1" numberOfEventIndicators="0">'
    '<ModelExchange modelIdentifier="m"/><ModelVariables>'
    '<ScalarVariable name="y" valueReference="0" causality="output">'
    '<Real/></ScalarVariable></ModelVariables><ModelStructure><Outputs><Unknown index="1"/></Outputs><InitialUnknowns>'
    '<Unknown index="1"/></InitialUnknowns></ModelStructure></fmiModelDescription>'
)


def archive(**entries: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name, text in entries.items():
                file.writestr(name.replace("__", "/").replace("xml", ".xml"), text)

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"PK but not really"), "is no FMU: File is not a zip file"),
        (archive(readme="hello"), "holds no modelDescription.xml"),
        (archive(modelDescriptionxml="no xml"), "modelDescription.xml cannot be read: syntax error"),
        (archive(modelDescriptionxml="<html/>"), "begins with <html>"),
        (archive(modelDescriptionxml="<!DOCTYPE a []><fmiModelDescription/>"), "has a document type"),
        (archive(modelDescriptionxml='<fmiModelDescription fmiVersion="3.0"/>'), "FMI 3.0; only FMI 2.0 is understood"),
        (archive(modelDescriptionxml='<fmiModelDescription fmiVersion="1.0"/>'), "FMI 1.0; only FMI 2.0 is understood"),
        (archive(modelDescriptionxml='<fmiModelDescription fmiVersion="2.0"/>'), "modelDescription.xml: ERROR"),
        (archive(modelDescriptionxml=MODEL_EXCHANGE), "is for model exchange only"),
        (archive(modelDescriptionxml=MODEL_EXCHANGE, **{"..__out": ""}), "holds '../out', a path that leads out"),
        (archive(modelDescriptionxml=MODEL_EXCHANGE, **{"__etc": ""}), "holds '/etc', a path that leads out"),
    ],
    ids=range(13),
)
def test_what_is_no_fmu(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "some.fmu"
    write(file)
    with pytest.raises(FMUError, match=message) as caught:
        describe(file)
    assert "some.fmu" in str(caught.value) and "\n" not in str(caught.value)


def changed(old: bytes, new: bytes) -> Callable[[Path], None]:
    """An archive with bytes of its last directory replaced, or of its contents where it has no such ones."""

    def write(path: Path) -> None:
        archive(modelDescriptionxml=MODEL_EXCHANGE, é="")(path)
        head, found, tail = path.read_bytes().rpartition(old)
        assert found
        path.write_bytes(head + new + tail)

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (changed(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"), "is no FMU: zip file version 25.5"),
        (changed("é".encode(), b"\xff\xff"), "is no FMU: 'utf-8' codec can't decode byte 0xff"),
    ],
    ids=["version", "name"],
)
def test_an_archive_that_zipfile_stumbles_over(write: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    test_what_is_no_fmu(write, message, tmp_path)


def test_a_description_that_ends_too_early(tmp_path: Path) -> None:
    """Its size in the directory is larger than the file."""
    file = tmp_path / "some.fmu"
    archive(modelDescriptionxml=MODEL_EXCHANGE)(file)
    content = bytearray(file.read_bytes())
    at = content.rfind(b"PK\x01\x02") + 20
    content[at : at + 8] = (10**6).to_bytes(4, "little") * 2
    file.write_bytes(content)
    with pytest.raises(FMUError, match="modelDescription.xml cannot be read: EOFError"):
        describe(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_share_a_name_all_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.fmu"
    with zipfile.ZipFile(file, "w") as whole:
        for _ in range(3):
            whole.writestr("modelDescription.xml", " " * 40)
    monkeypatch.setattr("dmpcrl_ctrl.cosim.adapters.fmu_file._LARGEST", 100)
    with pytest.raises(FMUError, match="would be 120 bytes unpacked; 100 is the limit"):
        describe(file)


def test_a_file_that_claims_terabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.fmu"
    archive(modelDescriptionxml=MODEL_EXCHANGE)(file)
    monkeypatch.setattr("dmpcrl_ctrl.cosim.adapters.fmu_file._LARGEST", 100)
    with pytest.raises(FMUError, match="bytes unpacked; 100 is the limit"):
        describe(file)


def test_what_one_is(tmp_path: Path) -> None:
    found = describe(export_plant(tmp_path / "chain.fmu", "dmpcrl_ctrl.plants:chain"))
    assert (found.identifier, found.step_size, found.keeps_states) == ("chain", 1.0, True)
    assert found.names("input") == ("u_1", "u_2", "u_3") and found.variables["seed"].kind == "Integer"
    unpack(found, tmp_path / "there")
    assert (tmp_path / "there" / "modelDescription.xml").is_file()


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "some.fmu"
    archive(modelDescriptionxml=MODEL_EXCHANGE)(file)
    monkeypatch.setitem(sys.modules, "fmpy", None)
    with pytest.raises(FMUError, match=r"fmpy: pip install dmpcrl-ctrl\[fmi\]"):
        describe(file)
