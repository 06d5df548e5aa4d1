// What a run looks like on a canvas. `place`: {x(), y(), left, right, top, bottom, ratio}, from values to pixels; `color(alpha)`.

/** A line through all points that are numbers; it ends before one that is none. */
export function line(ctx, xs, values, place, from = 0, to = values.length) {
  ctx.beginPath();
  let isDown = false;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (!(value - value === 0)) {
      isDown = false;
      continue;
    }
    if (isDown) ctx.lineTo(place.x(xs[i]), place.y(value));
    else ctx.moveTo(place.x(xs[i]), place.y(value));
    isDown = true;
  }
  ctx.stroke();
}

export function dots(ctx, xs, values, place, color, from, to, radius) {
  ctx.fillStyle = color;
  ctx.beginPath();
  for (let i = from; i < to; i++) {
    if (!Number.isFinite(values[i])) continue;
    const [x, y] = [place.x(xs[i]), place.y(values[i])];
    ctx.moveTo(x + radius * place.ratio, y);
    ctx.arc(x, y, radius * place.ratio, 0, 2 * Math.PI);
  }
  ctx.fill();
}

/** NaN as a triangle at the lower edge; infinities as one at the edge that they lie behind. */
export function marks(ctx, xs, values, place, color, from = 0, to = values.length) {
  ctx.fillStyle = color;
  const size = 4.5 * place.ratio;
  let last = -Infinity;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (value - value === 0) continue;
    const x = place.x(xs[i]);
    if (x - last < place.ratio) continue; // where one is already
    last = x;
    const isTop = value === Infinity;
    const [tip, base] = isTop ? [place.top + 1, place.top + 1 + 1.7 * size] : [place.bottom - 1.7 * size - 1, place.bottom - 1];
    ctx.beginPath();
    if (Number.isNaN(value)) {
      ctx.moveTo(x - size, tip);
      ctx.lineTo(x + size, tip);
      ctx.lineTo(x, base);
    } else {
      const [point, other] = isTop ? [tip, base] : [base, tip];
      ctx.moveTo(x, point);
      ctx.lineTo(x - size, other);
      ctx.lineTo(x + size, other);
    }
    ctx.closePath();
    ctx.fill();
  }
}

/** The lowest and highest value of each stretch as a line, the middle half as a box, the median as a bar. `card`: the colour behind. */
export function candlesticks(ctx, candles, place, color, card) {
  const { first_steps: firsts, last_steps: lasts } = candles;
  const length = firsts.length;
  const pitch = length > 1 ? (place.x(lasts[length - 1]) - place.x(firsts[0])) / length : 12 * place.ratio;
  const body = Math.max(place.ratio, Math.min(pitch * 0.62, 16 * place.ratio));
  for (let i = 0; i < length; i++) {
    if (Number.isNaN(candles.median[i])) continue;
    const x = Math.round(place.x((firsts[i] + lasts[i]) / 2));
    if (x < place.left - pitch || x > place.right + pitch) continue;
    const [low, q1, median, q3, high] = ["min", "q1", "median", "q3", "max"].map((name) => place.y(candles[name][i]));
    ctx.fillStyle = color(0.6);
    ctx.fillRect(x - place.ratio / 2, high, place.ratio, low - high);
    ctx.fillStyle = card;
    ctx.fillRect(x - body / 2, q3, body, Math.max(place.ratio, q1 - q3));
    ctx.fillStyle = color(0.42);
    ctx.fillRect(x - body / 2, q3, body, Math.max(place.ratio, q1 - q3));
    ctx.fillStyle = color(1);
    ctx.fillRect(x - body / 2, median - place.ratio, body, 2 * place.ratio);
  }
}

/** The same as two shades. */
export function band(ctx, candles, place, color) {
  for (const [low, high, alpha] of [["min", "max", 0.13], ["q1", "q3", 0.2]]) {
    ctx.fillStyle = color(alpha);
    ctx.beginPath();
    const last = candles.median.length - 1;
    const usable = (i) => !Number.isNaN(candles.median[i]);
    let isBegun = false;
    for (let i = 0; i <= last; i++) {
      if (!usable(i)) continue;
      const x = place.x((candles.first_steps[i] + candles.last_steps[i]) / 2);
      if (isBegun) ctx.lineTo(x, place.y(candles[high][i]));
      else ctx.moveTo(x, place.y(candles[high][i]));
      isBegun = true;
    }
    for (let i = last; i >= 0; i--) {
      if (usable(i)) ctx.lineTo(place.x((candles.first_steps[i] + candles.last_steps[i]) / 2), place.y(candles[low][i]));
    }
    ctx.fill();
  }
}
