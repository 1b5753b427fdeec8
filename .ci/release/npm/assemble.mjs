// Makes the npm packages of a release from what goreleaser has built: a package
// for each platform with its program, and the package devproxy, which has them
// as optional dependencies.
//
//   node .ci/release/npm/assemble.mjs DIST OUT
//
// DIST has goreleaser's artifacts.json and metadata.json; paths in them are
// relative to the working directory. OUT must not exist. `npm publish OUT/NAME`
// publishes; devproxy last, since it needs the others.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const platforms = { linux: 'linux', darwin: 'darwin', windows: 'win32' }; // Go's names to Node's
const processors = { amd64: 'x64', arm64: 'arm64' };

const [dist, out] = process.argv.slice(2);
if (!dist || !out) throw new Error('usage: node assemble.mjs DIST OUT');
if (existsSync(out)) throw new Error(`${out} exists; remove it`);

const source = dirname(fileURLToPath(import.meta.url));
const readJSON = (path) => JSON.parse(readFileSync(path, 'utf8'));
const { version } = readJSON(join(dist, 'metadata.json'));
const wrapper = { ...readJSON(join(source, 'package.json')), version, optionalDependencies: {} };

for (const { type, goos, goarch, path } of readJSON(join(dist, 'artifacts.json'))) {
  if (type !== 'Binary') continue;
  const os = platforms[goos];
  const cpu = processors[goarch];
  if (!os || !cpu) throw new Error(`no npm package for ${goos}/${goarch}: add it to assemble.mjs`);
  const name = `@devproxy/cli-${os}-${cpu}`;
  const program = os === 'win32' ? 'devproxy.exe' : 'devproxy';
  const { homepage, repository, license } = wrapper;
  const description = `The program of the package devproxy for ${os} on ${cpu}`;
  write(`cli-${os}-${cpu}`, {
    name, version, description, homepage, repository, license,
    os: [os], cpu: [cpu], files: ['bin'],
    preferUnplugged: true, // Yarn cannot run a program inside a zip file
  });
  copyFileSync(path, join(out, `cli-${os}-${cpu}`, 'bin', program));
  chmodSync(join(out, `cli-${os}-${cpu}`, 'bin', program), 0o755);
  writeFileSync(join(out, `cli-${os}-${cpu}`, 'README.md'), `# ${name}\n\n${description}. Install \`devproxy\` instead.\n`);
  wrapper.optionalDependencies[name] = version; // exactly this one
}
if (Object.keys(wrapper.optionalDependencies).length === 0) throw new Error(`${dist}/artifacts.json has no programs`);
write('devproxy', wrapper);
cpSync(join(source, 'bin'), join(out, 'devproxy', 'bin'), { recursive: true });
copyFileSync(join(source, 'README.md'), join(out, 'devproxy', 'README.md'));

function write(folder, description) {
  mkdirSync(join(out, folder, 'bin'), { recursive: true });
  writeFileSync(join(out, folder, 'package.json'), JSON.stringify(description, null, 2) + '\n');
  copyFileSync('LICENSE', join(out, folder, 'LICENSE'));
}
