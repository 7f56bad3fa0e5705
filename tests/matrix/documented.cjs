// Runs the quickstart bot of matrix-bot-sdk's documentation, as the package of version 0.5.19 has it
// (later ones have none), on the version that is installed.
//
// Only what the example asks its reader to fill in is filled in: homeserver and access token.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const ts = require("typescript");

const folder = path.dirname(require.resolve("matrix-bot-sdk-quickstart/package.json"));
const page = fs.readFileSync(path.join(folder, "README.md"), "utf8");
const [, block] = page.match(/# Quickstart Bot\n[^]*?```typescript\n([^]*?)```/);

const blanks = {
  "https://matrix.org": process.env.QPQ_URL,
  YourSecretAccessToken: process.env.MATRIX_TOKEN,
};
let text = block;
for (const [blank, value] of Object.entries(blanks)) {
  assert.equal(text.split(`"${blank}"`).length, 2, `${blank} is there once`);
  text = text.replace(`"${blank}"`, JSON.stringify(value));
}

const options = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
const program = ts.transpileModule(text, { compilerOptions: options }).outputText;
const bot = new Module(path.resolve("hello-bot.js"), module);
bot.paths = module.paths;
bot._compile(program, bot.id);
