import pytest

from nam_like.config.errors import ConfigError
from nam_like.config.netcheck import check_net, exporters_for
from nam_like.registry import EXPORTERS, NETS, owned_by


class Exporter:
    def __init__(self, name):
        self.name = name

    def obstacles(self, net):
        return net.export_obstacles(self.name)


@pytest.fixture(autouse=True)
def _exporters():
    saved = {name: EXPORTERS.find(name) for name in ("nam", "torchscript")}
    for name in saved:
        EXPORTERS.register(name, lambda name=name: Exporter(name), overwrite=True)
    yield
    for name, entry in saved.items():
        with owned_by(entry.owner):
            EXPORTERS.register(
                name,
                entry.target,
                config=entry.config,
                family=entry.family,
                summary=entry.summary,
                overwrite=True,
            )


def run(files, export=None, **config):
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}], **config}}
    files.write(model={"net": net, "optimizer": {}}, learning={} if export is None else {"export": export})
    return files.load()


def problems(files, **arguments):
    with pytest.raises(ConfigError) as raised:
        check_net(run(files, **arguments))
    return raised.value.problems


def test_a_good_net(files):
    loaded = run(files, head_scale=0.5)
    net = check_net(loaded)
    assert net.head_scale == 0.5
    assert [exporter.name for exporter in exporters_for(loaded.learning, net)] == ["torchscript"]


def test_exporters_of_the_learning_json(files):
    loaded = run(files, export=["onnx"])
    assert [exporter.name for exporter in exporters_for(loaded.learning, None)] == ["onnx"]
    assert check_net(run(files, export=[], obstacles=["never"])).obstacles == ["never"]


@pytest.mark.parametrize(
    ("fails", "message"),
    [("value", "expected 3, but got 4"), ("key", "expected a net that can be built, but got KeyError")],
)
def test_a_net_that_cannot_be_built(files, fails, message):
    (found,) = problems(files, fails=fails)
    assert found.path == "net.config"
    assert found.file.endswith("model.json")
    assert message in found.message


def test_what_an_exporter_cannot_express(files):
    (found,) = problems(files, obstacles=["head_scale is odd"])
    assert found.path == "net.config"
    assert found.message.startswith(
        "expected a net that 'torchscript' can export as it trains, but got: head_scale"
    )
    assert "`export`" in found.message
    (found,) = problems(files, export=["nam"], obstacles=["a FakeNet has no file format"])
    assert (found.path, found.file.endswith("learning.json")) == ("export[0]", True)


def test_a_net_that_nothing_exports(files):
    class Dumb:
        exports = frozenset()

    NETS.register("Dumb", Dumb)
    try:
        files.write(model={"net": "Dumb", "optimizer": {}}, learning={})
        with pytest.raises(
            ConfigError, match="expected a net that nam or torchscript can export, but got Dumb"
        ):
            check_net(files.load())
        files.write(learning={"export": []})
        assert isinstance(check_net(files.load()), Dumb)
    finally:
        NETS.unregister("Dumb")
