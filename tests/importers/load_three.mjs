// What three.js makes of each file that is named (GLB, OBJ, PLY), as a JSON list. Pictures are read, not decoded.
import { readFileSync } from 'node:fs';
import { Box3, Group, Mesh } from 'three';

globalThis.self = globalThis;
globalThis.createImageBitmap = async (blob) => {
  const bytes = Buffer.from(await blob.arrayBuffer());
  if (bytes.toString('latin1', 1, 4) !== 'PNG') throw new Error('no PNG');
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), close() {} };
};
const { GLTFLoader } = await import('three/examples/jsm/loaders/GLTFLoader.js');
const { OBJLoader } = await import('three/examples/jsm/loaders/OBJLoader.js');
const { PLYLoader } = await import('three/examples/jsm/loaders/PLYLoader.js');
const { MeshoptDecoder } = await import('three/examples/jsm/libs/meshopt_decoder.module.js');

async function load(path) {
  const bytes = readFileSync(path);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  if (path.endsWith('.obj')) return new OBJLoader().parse(bytes.toString());
  if (path.endsWith('.ply')) return new Group().add(new Mesh(new PLYLoader().parse(data)));
  const loader = new GLTFLoader().setMeshoptDecoder(MeshoptDecoder);
  return (await loader.parseAsync(data, '')).scene;
}

function picture(texture) {
  return texture && { space: texture.colorSpace, size: [texture.image.width, texture.image.height] };
}

function describe({ name, geometry, material }) {
  const corners = geometry.index ?? geometry.attributes.position;
  return {
    name,
    attributes: Object.keys(geometry.attributes).sort(),
    triangles: corners.count / 3,
    vertices: geometry.attributes.position.count,
    material: {
      type: material.type,
      name: material.name,
      metalness: material.metalness,
      roughness: material.roughness,
      transparent: material.transparent,
      side: material.side,
      map: picture(material.map),
      normalMap: picture(material.normalMap),
      roughnessMap: picture(material.roughnessMap),
      aoMap: picture(material.aoMap),
    },
  };
}

const found = [];
for (const path of process.argv.slice(2)) {
  const scene = await load(path);
  scene.updateMatrixWorld(true);
  const meshes = [];
  scene.traverse((object) => object.isMesh && meshes.push(describe(object)));
  const box = new Box3().setFromObject(scene, true);
  found.push({ meshes, box: [box.min.toArray(), box.max.toArray()] });
}
console.log(JSON.stringify(found));
