'use strict';

const { MaillonPlugin } = require('./lib/plugin');

module.exports = { MaillonPlugin };
