// The colours of runs: sixteen that are told apart by eyes of every kind; the seventeenth run has the first one's again.

// Hue, then lightness and chroma in the light and in the dark, in the order in which they are given out. They were searched for so that
// the nearest two are as far apart as can be, for readers who see no red, no green or no blue, too, and so that each stands
// out from a card by 3 to 1 at least: test/palette.test.mjs. For that, lightness has to differ as much as hue.
export const COLORS = [
  [267, [0.53, 0.16], [0.72, 0.14]],
  [40, [0.67, 0.2], [0.76, 0.14]],
  [168, [0.59, 0.11], [0.88, 0.17]],
  [338, [0.54, 0.2], [0.62, 0.2]],
  [309, [0.41, 0.18], [0.6, 0.2]],
  [107, [0.63, 0.13], [0.89, 0.15]],
  [227, [0.64, 0.12], [0.89, 0.06]],
  [16, [0.46, 0.18], [0.6, 0.2]],
  [288, [0.65, 0.19], [0.67, 0.19]],
  [79, [0.51, 0.11], [0.64, 0.13]],
  [327, [0.67, 0.15], [0.73, 0.11]],
  [121, [0.4, 0.09], [0.71, 0.17]],
  [235, [0.4, 0.08], [0.8, 0.12]],
  [176, [0.47, 0.09], [0.6, 0.11]],
  [357, [0.67, 0.15], [0.7, 0.2]],
  [32, [0.6, 0.11], [0.82, 0.1]],
];
