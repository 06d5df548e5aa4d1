// The colours of runs: far enough from the card and from each other, whatever a reader's eyes see.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { COLORS } from "../src/palette.js";

// What eyes without one kind of cone make of linear RGB (Machado, Oliveira and Fernandes, 2009, severity 1), and what all others do.
const EYES = {
  all: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};
const times = (matrix, [a, b, c]) => matrix.map(([x, y, z]) => x * a + y * b + z * c);
const clipped = (rgb) => rgb.map((one) => Math.min(1, Math.max(0, one)));
const LMS_OF_LAB = [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]];
const RGB_OF_LMS = [[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965], [-0.0041960863, -0.7034186147, 1.707614701]];
const LMS_OF_RGB = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]];
const LAB_OF_LMS = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]];

function linear([lightness, chroma], hue) {
  const angle = (hue * Math.PI) / 180;
  const lms = times(LMS_OF_LAB, [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)]).map((one) => one ** 3);
  return clipped(times(RGB_OF_LMS, lms));
}

const lab = (rgb) => times(LAB_OF_LMS, times(LMS_OF_RGB, clipped(rgb)).map(Math.cbrt));
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

const sheet = readFileSync(new URL("../src/app.css", import.meta.url), "utf8");
const cards = [...sheet.matchAll(/--card: #(..)(..)(..);/g)].slice(0, 2).map(([, ...parts]) =>
  luminance(parts.map((part) => Number.parseInt(part, 16) / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))),
);

for (const [theme, name] of ["light", "dark"].entries()) {
  const colors = COLORS.map(([hue, ...themes]) => linear(themes[theme], hue));

  test(`in the ${name}, each colour of a run stands out from its card`, () => {
    for (const [place, color] of colors.entries()) assert.ok(contrast(luminance(color), cards[theme]) >= 3, `colour ${place}`);
  });

  for (const [eyes, matrix] of Object.entries(EYES)) {
    test(`in the ${name}, eyes that see ${eyes} tell the colours apart`, () => {
      const seen = colors.map((color) => lab(times(matrix, color)));
      for (let i = 0; i < seen.length; i++) {
        for (let k = 0; k < i; k++) {
          const apart = Math.hypot(...seen[i].map((one, axis) => one - seen[k][axis]));
          assert.ok(apart >= (eyes === "all" ? 0.07 : 0.04), `colours ${k} and ${i} are ${apart.toFixed(3)} apart`);
        }
      }
    });
  }
}
