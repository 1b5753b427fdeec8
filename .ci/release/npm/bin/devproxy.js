#!/usr/bin/env node
// Runs the devproxy of the package for this platform, which npm has installed
// next to this one as an optional dependency. Nothing is downloaded.
'use strict';

const { spawn } = require('node:child_process');
const os = require('node:os');
const tty = require('node:tty');

const platform = `${process.platform}-${process.arch}`;
const wanted = `@devproxy/cli-${platform}`;
const built = Object.keys(require('../package.json').optionalDependencies);

run(find());

// find returns the path of the program.
function find() {
  try {
    return require.resolve(`${wanted}/bin/devproxy${process.platform === 'win32' ? '.exe' : ''}`);
  } catch {
    if (!built.includes(wanted)) {
      fail(
        `no npm package for ${platform}`,
        `the npm packages are for ${built.map((name) => name.replace('@devproxy/cli-', '')).join(', ')}`,
        'build it with Go: go install github.com/devproxy/devproxy/cmd/devproxy@latest',
      );
    }
    fail(
      `the package ${wanted} is not installed`,
      'npm leaves it out with --omit=optional, and when node_modules comes from another platform',
      'install it: npm install --include=optional devproxy',
    );
  }
}

// run ends this program as the child ends: with its exit code, or by its signal.
function run(program) {
  // Both are in one process group, so the signals of a terminal (Ctrl-C, closing
  // it) reach the child without help, and this program only has to outlive it.
  // devproxy stops at once at the second Ctrl-C, so they are not passed on too.
  // All others are sent to this program alone, and passed on.
  const terminal = [0, 1, 2].some((fd) => tty.isatty(fd)); // process.stdin would begin to read
  const signals = process.platform === 'win32' ? ['SIGINT', 'SIGBREAK', 'SIGTERM'] : ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'];
  // Before the child is there: it may be ready and interrupted before the next line
  // of this program runs. The functions themselves run later.
  let child;
  for (const signal of signals) {
    process.on(signal, () => {
      if (signal === 'SIGTERM' || !terminal) child.kill(signal);
    });
  }
  child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });

  child.on('error', (error) => fail(`cannot run ${program}`, error.message, 'install it again: npm install --include=optional devproxy'));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // A signal that does not end this program, such as one that is blocked: the
    // exit code that a shell gives it.
    setTimeout(() => process.exit(128 + (os.constants.signals[signal] ?? 0)), 1000);
  });
}

function fail(what, why, fix) {
  process.stderr.write(`devproxy: ${what}: ${why}\n  ${fix}\n`);
  process.exit(1);
}
