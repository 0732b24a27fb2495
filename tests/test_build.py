"""The build compiles the fast path where it can; where it cannot, the wheel is pure Python, and the build says so."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"logging_azmon/_compiled.pyx", "logging_azmon/_compiled.pyi", "hatch_build.py"}


class Shown:
    """Keep what a build shows, as hatchling's application does."""

    def __init__(self):
        self.warnings, self.remarks = [], []
        self.display_warning, self.display_info = self.warnings.append, self.remarks.append


def hook(root=ROOT):
    """Make the build hook as hatchling does."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Hook(str(root), {}, None, None, "dist", "wheel", Shown())


def build_data():
    """Return what hatchling asks a hook to fill."""
    return {"force_include": {}, "pure_python": True, "infer_tag": False}


@pytest.fixture(autouse=True)
def _as_a_user_builds(monkeypatch):
    for name in ("LOGGING_AZMON_BUILD", "CC", "CFLAGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Return a hook, in a tree of its own, whose compiler works."""
    made = hook(tmp_path / "tree")
    (tmp_path / "tree" / "logging_azmon").mkdir(parents=True)
    module = tmp_path / "_compiled.so"
    module.write_bytes(b"compiled")
    monkeypatch.setattr(made, "_compile", lambda: module)
    return SimpleNamespace(hook=made, module=module, tree=tmp_path / "tree")


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Build what is published, but for the compiled wheels."""
    target = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"LOGGING_AZMON_BUILD": "pure"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(target)],
        cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return target


class TestWithoutACompiler:
    @pytest.mark.skipif(sys.platform == "win32", reason="there, CC is not asked")
    @pytest.mark.parametrize("compiler", ["/nonexistent/cc", "false"], ids=["missing", "failing"])
    def test_the_wheel_is_pure_python_and_the_build_says_so(self, monkeypatch, compiler):
        monkeypatch.setenv("CC", compiler)
        made, data = hook(), build_data()
        made.initialize("standard", data)

        assert data == build_data()
        (said,) = made.app.warnings
        assert said.startswith("logging_azmon: nothing was compiled, so it will run as pure Python: ")

    @pytest.mark.skipif(sys.platform == "win32", reason="there, CC is not asked")
    def test_a_build_that_must_be_compiled_fails(self, monkeypatch):
        """Otherwise a pure wheel would be published as one of a platform."""
        monkeypatch.setenv("CC", "/nonexistent/cc")
        monkeypatch.setenv("LOGGING_AZMON_BUILD", "compiled")
        with pytest.raises((Exception, SystemExit)):
            hook().initialize("standard", build_data())

    def test_cython_is_not_needed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "Cython.Build", None)
        made = hook()
        made.initialize("standard", build_data())

        assert "it will run as pure Python: ModuleNotFoundError: " in made.app.warnings[0]

    def test_another_interpreter_runs_the_pure_code_alone(self, monkeypatch):
        made = hook()
        monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="pypy"))
        made.initialize("standard", build_data())

        assert "this interpreter runs the pure Python alone" in made.app.warnings[0]


class TestWithACompiler:
    def test_a_wheel_holds_the_compiled_module_and_is_one_of_its_platform(self, compiled):
        data = build_data()
        compiled.hook.initialize("standard", data)

        assert data["force_include"] == {str(compiled.module): "logging_azmon/_compiled.so"}
        assert (data["pure_python"], data["infer_tag"]) == (False, True)
        assert compiled.hook.app.remarks == ["logging_azmon: compiled _compiled.so"]

    def test_an_editable_installation_has_it_in_the_tree(self, compiled):
        compiled.hook.initialize("editable", build_data())

        assert compiled.tree.joinpath("logging_azmon", "_compiled.so").read_bytes() == b"compiled"

    def test_an_editable_installation_leaves_the_earlier_module_to_those_that_run_it(self, compiled):
        """Writing into a file from which a process runs code would end that process."""
        compiled.hook.initialize("editable", build_data())
        with compiled.tree.joinpath("logging_azmon", "_compiled.so").open("rb") as running:
            compiled.module.write_bytes(b"newly compiled")
            compiled.hook.initialize("editable", build_data())

            assert running.read() == b"compiled"
        assert [path.name for path in compiled.tree.joinpath("logging_azmon").iterdir()] == ["_compiled.so"]

    def test_a_pure_wheel_can_be_made_on_purpose(self, compiled, monkeypatch):
        monkeypatch.setenv("LOGGING_AZMON_BUILD", "pure")
        data = build_data()
        compiled.hook.initialize("standard", data)

        assert data == build_data()
        assert compiled.hook.app.warnings == ["logging_azmon: pure Python, as LOGGING_AZMON_BUILD asks for"]

    def test_any_other_wish_is_refused(self, compiled, monkeypatch):
        monkeypatch.setenv("LOGGING_AZMON_BUILD", "fast")
        with pytest.raises(ValueError, match="LOGGING_AZMON_BUILD='fast' is not accepted; give 'pure' or 'compiled'"):
            compiled.hook.initialize("standard", build_data())


class TestContents:
    def test_the_source_distribution_can_be_compiled(self, dist):
        with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}

        assert names >= SOURCES
        assert not [name for name in names if name.endswith((".c", ".so", ".pyd"))]

    def test_the_pure_wheel_fits_every_python_and_holds_neither_sources_nor_results_of_the_compiler(self, dist):
        wheel = next(dist.glob("*.whl"))
        names = zipfile.ZipFile(wheel).namelist()

        assert wheel.name.endswith("-py3-none-any.whl")
        assert {"logging_azmon/py.typed", "logging_azmon/_compiled.pyi"} <= {*names}
        assert not [name for name in names if name.endswith((".pyx", ".c", ".so", ".pyd"))]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_the_installed_package_has_no_source_of_the_compiled_module():
    """The wheel that tox installs may be a compiled one."""
    import logging_azmon

    folder = Path(logging_azmon.__file__).parent
    if folder == ROOT / "logging_azmon":
        pytest.skip("an editable installation is the source tree")
    assert not [*folder.rglob("*.pyx"), *folder.rglob("*.c")]
