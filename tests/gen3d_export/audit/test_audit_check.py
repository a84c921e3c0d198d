"""A good asset passes; one that is spoilt in one respect fails in that, and in nothing else."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from gen3d.cli import cli, guarded
from gen3d.errors import BadInput
from gen3d_export.asset import Hull, Maps
from gen3d_export.audit.check import check
from gen3d_export.formats.glb import write_glb
from glb_edit import edit
from small_asset import box_asset, box_body

FLIP = np.array([0, 2, 1])


def box(**changes):
    return replace(box_body(128, detail=True), **changes)


def written(folder, body, hulls=None):
    write_glb(folder / "box.glb", "box", body, hulls)
    return folder / "box.glb"


def failures(report):
    return {finding.name for finding in report.findings if finding.status != "pass"}


def maps(**changes):
    return replace(box().maps, **changes)


def without_gutter(uv):
    """Each chart as large as its cell."""
    cell = np.floor(uv * [3, 2] * 0.9999)
    return ((uv * [3, 2] - cell - 0.1) / 0.8 + cell) / [3, 2]


BODY = box()
ZERO = np.zeros((128, 128, 3), dtype=np.uint8)

SPOILT = {
    "closed": {"faces": BODY.faces[1:]},
    "winding": {"faces": np.concatenate([BODY.faces[:1, FLIP], BODY.faces[1:]]), "normals": BODY.normals},
    "degenerate": {"faces": np.concatenate([BODY.faces, [[0, 1, 1]]])},
    "manifold": {"faces": np.concatenate([BODY.faces, [[0, 1, 6]]])},
    "uv_range": {"uv": BODY.uv + np.array([0.1, 0])},
    "uv_overlap": {"uv": np.where(np.arange(24)[:, None] < 4, BODY.uv + np.array([1 / 3, 0]), BODY.uv)},
    "gutter": {"uv": without_gutter(BODY.uv)},
    "power_of_two": {"maps": Maps(*(picture[:120, :120] for picture in vars(BODY.maps).values()))},
    "texture": {"maps": Maps(*(picture.repeat(16, 0).repeat(16, 1) for picture in vars(BODY.maps).values()))},
    "texel_density": {"uv": np.where(np.arange(24)[:, None] < 4, BODY.uv * 0.2 + 0.1 / 3, BODY.uv)},
    "size": {"vertices": BODY.vertices * 1000},
    "pivot": {"vertices": BODY.vertices + np.array([0.1, 0, 0])},
    "normals": {"normals": BODY.normals * 0.9, "tangents": BODY.tangents},
    "normal_map": {"maps": maps(normal=ZERO)},
    "tangents": {"tangents": -BODY.tangents},
}
ALONG = {  # what cannot but fail with it
    "winding": {"normals", "tangents", "outward"},
    "manifold": {"winding", "closed", "normals", "tangents", "uv_overlap", "gutter", "texel_density"},
    "degenerate": {"normals"},
    "uv_overlap": {"gutter"},
    "uv_range": {"gutter"},
}


def test_a_good_box_passes_every_preset(tmp_path):
    path = written(tmp_path, box(), {"box_hull_00": box_asset(hulls=1).hulls[0]})
    report = check(path, "prop")
    assert failures(report) == set(), report.findings
    assert report.passed
    assert {finding.name for finding in report.findings} >= {*SPOILT, "draw_calls", "names", "hulls", "convex"}
    assert check(path).passed


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_spoilt_is_found(tmp_path, name):
    report = check(written(tmp_path, box(**SPOILT[name])), "prop")
    assert name in failures(report)
    assert failures(report) - {name} <= ALONG.get(name, set()), report.findings
    assert report[name].remedy


def test_inside_out_is_not_inconsistent(tmp_path):
    report = check(written(tmp_path, box(faces=BODY.faces[:, FLIP], normals=-BODY.normals)), "prop")
    assert (report["outward"].status, report["winding"].status, report["normals"].status) == ("fail", "pass", "pass")
    assert report["outward"].value == "1 pieces inside out"


def test_a_hollow_is_not_inside_out(tmp_path):
    inner = box(vertices=BODY.vertices / 2 + [0, 0.1, 0]).vertices
    both = {
        "vertices": np.concatenate([BODY.vertices, inner]),
        "normals": np.concatenate([BODY.normals, -BODY.normals]),
    }
    both |= {"faces": np.concatenate([BODY.faces, BODY.faces[:, FLIP] + 24]), "uv": np.tile(BODY.uv, (2, 1))}
    report = check(written(tmp_path, box(**both, tangents=np.tile(BODY.tangents, (2, 1)))))
    assert report["outward"].status == "pass"


MATERIAL = {
    "metallic": lambda tree: tree["materials"][0]["pbrMetallicRoughness"].pop("metallicFactor"),
    "roughness": lambda tree: tree["materials"][0]["pbrMetallicRoughness"].pop("roughnessFactor"),
    "no material": lambda tree: tree["meshes"][0]["primitives"][0].pop("material"),
}


@pytest.mark.parametrize("name", MATERIAL)
def test_absent_factors_are_found(tmp_path, name):
    path = written(tmp_path, box())
    edit(path, MATERIAL[name])
    finding = check(path, "prop")["material_factors"]
    assert finding.status == "fail"
    assert ("absent" in finding.value) == (name != "no material")


def test_a_file_is_held_against_its_preset(tmp_path):
    path = written(tmp_path, box())
    edit(path, lambda tree: tree.update(extensionsRequired=["EXT_some_thing"]))
    edit(path, lambda tree: tree["nodes"][0].update(name="The Box"))
    edit(path, lambda tree: tree["meshes"][0]["primitives"].append(tree["meshes"][0]["primitives"][0]))
    report = check(path, "prop")
    assert {"extensions", "names", "draw_calls"} <= failures(report)
    assert report["extensions"].value == "EXT_some_thing"
    assert "'The Box'" in report["names"].value
    assert report["draw_calls"].value == "2"
    assert report["triangles"].value == "24"


def test_what_is_measured_is_right(tmp_path):
    report = check(written(tmp_path, box()), "prop")
    assert report["gutter"].value == "9 texels, 6 charts"  # the texels whose centres lie between 38.4 and 46.9
    assert report["size"].value == "0.2 x 0.4 x 0.6 m"
    assert report["pivot"].value == "bottom"
    surface, covered = 2 * (0.2 * 0.4 + 0.2 * 0.6 + 0.4 * 0.6), 6 * (128 * 0.8 / 3) * (128 * 0.8 / 2)
    assert re.search(r"(\d+)% of the texture", report["texel_density"].value)[1] == f"{100 * covered / 128**2:.0f}"
    assert report.figures["triangles"] == 12
    assert surface == pytest.approx(0.88)


def test_hulls_that_engines_refuse_are_found(tmp_path):
    hull = box_asset(hulls=1).hulls[0]
    dented = Hull(np.concatenate([hull.vertices, [[0.01, 0.3, 0.3]]]), np.concatenate([hull.faces, [[0, 1, 4]]]))
    assert check(written(tmp_path, box(), {"UCX_box_00": dented}))["convex"].status == "fail"
    many = Hull(np.tile(hull.vertices, (1, 1)), np.tile(hull.faces, (70, 1)))
    assert check(written(tmp_path, box(), {"box-convcolonly": many}))["hulls"].status == "fail"
    write_glb(tmp_path / "only.glb", "box", None, {"box_hull_00": hull})
    assert check(tmp_path / "only.glb", "prop").passed


def test_the_pivot_is_where_the_figures_say(tmp_path):
    path = written(tmp_path, box())
    for wanted, status in {"bottom": "pass", "center": "fail", "keep": "pass"}.items():
        (tmp_path / "box.json").write_text(json.dumps({"pivot": wanted}))
        assert check(path)["pivot"].status == status


def run(*words):
    result = CliRunner().invoke(cli, ["check", *map(str, words)], standalone_mode=False)
    return result.return_value if result.exception is None else result.exception, result.output


def test_the_command_says_what_to_do_and_exits_with_5(tmp_path):
    path = written(tmp_path, box(uv=without_gutter(BODY.uv)))
    code, text = run(path, "--preset", "prop")
    assert code == 5
    assert "gutter: unwrap with more padding" in text
    assert "1 fail (preset prop)" in text
    assert run(written(tmp_path, box()), "--preset", "prop")[0] == 0


def test_the_command_prints_json(tmp_path):
    code, text = run(written(tmp_path, box()), "--json")
    report = json.loads(text)
    assert (code, report["passed"], report["preset"]) == (0, True, None)
    assert next(f for f in report["findings"] if f["name"] == "triangles")["value"] == "12"


@pytest.mark.parametrize(
    "words", [["nothing.glb"], ["box.glb", "--preset", "porp"], ["box.fbx"], ["box.glb", "--against", "x"]]
)
def test_what_cannot_be_judged_exits_with_2(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, box())
    assert guarded(lambda: cli.main(["check", *words], standalone_mode=False)) == 2


def test_a_preset_that_is_misspelt_is_told(tmp_path):
    with pytest.raises(BadInput, match="did you mean 'prop'"):
        check(written(tmp_path, box()), "porp")
