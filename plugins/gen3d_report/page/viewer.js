// The object, which is in this page as text, for the viewer and for the download.
const text = document.getElementById("glb").textContent;
const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const address = URL.createObjectURL(new Blob([bytes], { type: "model/gltf-binary" }));
const viewer = document.querySelector("model-viewer");
document.getElementById("download").href = address;
viewer.addEventListener("error", () => {
  document.getElementById("no-viewer").hidden = false;
});
viewer.src = address;
