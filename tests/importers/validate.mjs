// The Khronos validator's report of each GLB that is named, as a JSON list.
import { readFileSync } from 'node:fs';
import validator from 'gltf-validator';

const reports = [];
for (const path of process.argv.slice(2)) {
  const { issues, info } = await validator.validateBytes(new Uint8Array(readFileSync(path)), { uri: path, maxIssues: 50 });
  reports.push({ issues, info });
}
console.log(JSON.stringify(reports));
