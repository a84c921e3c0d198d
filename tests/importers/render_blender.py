"""What Blender has made of a file, as a line of JSON, and a picture of it from its front.

Run by a Python that has `bpy`, or by `blender -b --python`; arguments after `--`: the file, the picture to write.
"""

import json
import math
import sys
from functools import partial
from pathlib import Path

import bpy

SIZE, SAMPLES = 96, 8
IMPORTERS = {
    ".glb": bpy.ops.import_scene.gltf,
    ".obj": bpy.ops.wm.obj_import,
    ".ply": partial(bpy.ops.wm.ply_import, forward_axis="NEGATIVE_Z", up_axis="Y"),  # which a PLY cannot tell
    ".usdz": bpy.ops.wm.usd_import,
}


def pictures(material):
    """The textures of a material: their sizes and colour spaces."""
    images = [node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE" and node.image]
    return [[*image.size, image.colorspace_settings.name] for image in images]


def surface(material):
    """The factors of the principled shader; None where a texture gives the value."""
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    inputs = {name: shader.inputs[name] for name in ("Metallic", "Roughness", "Alpha")}
    values = {name.lower(): None if socket.is_linked else socket.default_value for name, socket in inputs.items()}
    return {"name": material.name, "pictures": pictures(material), **values}


def describe(thing):
    """One mesh in the scene."""
    corners = [thing.matrix_world @ vertex.co for vertex in thing.data.vertices]
    return {
        "name": thing.name,
        "triangles": len(thing.data.polygons),
        "low": [min(corner[axis] for corner in corners) for axis in range(3)],
        "high": [max(corner[axis] for corner in corners) for axis in range(3)],
        "uv": len(thing.data.uv_layers),
        "materials": [surface(material) for material in thing.data.materials],
    }


def draw(meshes, path):
    """The first mesh from Blender's front, where glTF's is, in white light from everywhere."""
    scene, low, high = bpy.context.scene, meshes[0]["low"], meshes[0]["high"]
    middle, size = (
        [(a + b) / 2 for a, b in zip(low, high, strict=True)],
        max(b - a for a, b in zip(low, high, strict=True)),
    )
    camera = bpy.data.cameras.new("camera")
    camera.type, camera.ortho_scale = "ORTHO", 1.25 * size
    scene.camera = bpy.data.objects.new("camera", camera)
    scene.collection.objects.link(scene.camera)
    scene.camera.location = (middle[0], low[1] - size, middle[2])
    scene.camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.world = bpy.data.worlds.new("white")
    if scene.world.node_tree is None:  # before Blender 5
        scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", SAMPLES
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.film_transparent, scene.view_settings.view_transform = True, "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)


def main(file, picture):
    """Import, tell, draw."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    IMPORTERS[Path(file).suffix](filepath=file)
    meshes = [describe(thing) for thing in bpy.context.scene.objects if thing.type == "MESH"]
    draw(meshes, picture)
    sys.stdout.write(f"FOUND {json.dumps(meshes)}\n")


main(*sys.argv[sys.argv.index("--") + 1 :])
