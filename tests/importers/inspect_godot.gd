extends SceneTree
# What Godot 3 has made of the GLBs that are named, as one line of JSON.

func _init():
	var found = {}
	for path in OS.get_cmdline_args():
		if path.begins_with("res://") and path.ends_with(".glb"):
			var nodes = []
			walk(load(path).instance(), nodes)
			found[path.get_file()] = nodes
	print("FOUND " + to_json(found))
	quit()

func walk(node, nodes):
	var entry = {"name": node.name, "class": node.get_class(), "parent": node.get_parent().get_class() if node.get_parent() else null}
	if node is MeshInstance:
		entry["mesh"] = surface(node)
	if node is CollisionShape:
		entry["points"] = Array(node.shape.points).size()
	nodes.append(entry)
	for child in node.get_children():
		walk(child, nodes)

func surface(node):
	var mesh = node.mesh
	var box = node.transform.xform(mesh.get_aabb())
	var material = mesh.surface_get_material(0)
	var entry = {
		"surfaces": mesh.get_surface_count(),
		"vertices": mesh.surface_get_array_len(0),
		"indices": mesh.surface_get_array_index_len(0),
		"tangents": bool(mesh.surface_get_format(0) & Mesh.ARRAY_FORMAT_TANGENT),
		"low": [box.position.x, box.position.y, box.position.z],
		"size": [box.size.x, box.size.y, box.size.z],
		"material": null,
	}
	if material:
		entry["material"] = {
			"metallic": material.metallic,
			"roughness": material.roughness,
			"albedo": texture(material.albedo_texture),
			"normal": texture(material.normal_texture),
			"orm": texture(material.roughness_texture),
		}
	return entry

func texture(picture):
	return [picture.get_width(), picture.get_height()] if picture else null
