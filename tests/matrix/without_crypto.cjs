// The library for Matrix's own encryption comes as a binary from GitHub, which an installation
// from npm alone does not bring. No room here has that encryption: an empty module takes its place.
"use strict";

const Module = require("node:module");

const load = Module._load;
Module._load = function (name, ...more) {
  return name === "@matrix-org/matrix-sdk-crypto-nodejs" ? { StoreType: {} } : load.call(this, name, ...more);
};
