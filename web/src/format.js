// Numbers, sizes and times as people read them.

/** A value of a chart: at most `digits` digits that say something. */
export function number(value, digits = 4) {
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "\u221e";
  if (value === -Infinity) return "\u2212\u221e";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e6 || size < 1e-4 ? value.toExponential(digits - 1).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(digits)));
  return text.replace("e+", "e").replace(/-/g, "\u2212");
}

/** A step; JSON's numbers are exact up to 2^53, and a step beyond is marked as near to the true one. */
export function step(value) {
  const whole = Math.round(value);
  return Number.isSafeInteger(whole) ? whole.toLocaleString("en-US") : `\u2248${number(whole, 6)}`;
}

/** A count, with thousands set apart. */
export function count(value) {
  return value.toLocaleString("en-US");
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A length of time in seconds, in its two largest units. */
export function duration(seconds) {
  const sign = seconds < 0 ? "\u2212" : "";
  const size = Math.abs(seconds);
  if (size < 10) return `${sign}${Number(size.toFixed(2))} s`;
  if (size < 60) return `${sign}${Math.round(size)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => size >= length);
  const large = Math.floor(size / units[first][1]);
  const rest = first < 3 ? Math.floor((size - large * units[first][1]) / units[first + 1][1]) : 0;
  return `${sign}${large} ${units[first][0]}${rest ? ` ${rest} ${units[first + 1][0]}` : ""}`;
}

/** Labels for lengths of time on an axis: in their two largest units, or as a clock has them where those do not tell them apart. */
export function durations(all) {
  const apart = all.length > 1 ? all[1] - all[0] : Infinity;
  const digits = decimals(apart);
  const two = (value) => String(value).replace(/^\d(?!\d)/, "0$&");
  return all.map((seconds) => {
    const size = Math.abs(Number(seconds.toFixed(digits))); // 0.1 + 0.2 is not to be 299 ms
    const sign = seconds < 0 && size > 0 ? "\u2212" : "";
    const rest = Number((size % 60).toFixed(digits));
    if (size < 60 && apart < Infinity) return `${sign}${rest} s`;
    const isTold = apart >= 60 ? size < 86400 || apart >= 3600 : size < 3600 && digits === 0;
    if (isTold) return `${sign}${duration(size)}`;
    if (size < 3600) return `${sign}${Math.floor(size / 60)} min${rest ? ` ${rest} s` : ""}`;
    const days = size >= 86400 ? `${Math.floor(size / 86400)} d ` : "";
    const clock = `${Math.floor((size % 86400) / 3600)}:${two(Math.floor((size % 3600) / 60))}`;
    return `${sign}${days}${clock}${apart < 60 ? `:${two(rest)}` : ""}`;
  });
}

/** As many decimals as a distance between labels has. */
function decimals(apart) {
  for (let digits = 0; digits < 9; digits++) if (Math.abs(apart - Number(apart.toFixed(digits))) < apart * 1e-6) return digits;
  return Number.isFinite(apart) ? 9 : 0;
}

/** How long ago a moment (seconds since 1970) was, short. */
export function age(then, now = Date.now() / 1000) {
  const seconds = Math.max(0, now - then);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

const MOMENT = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** A moment in the reader's own time zone. */
export function moment(seconds) {
  return MOMENT.format(new Date(seconds * 1000));
}

/** The time of day of a moment (text of ISO 8601) in the reader's own time zone, with milliseconds. */
export function clock(iso) {
  const ms = Date.parse(iso);
  return `${moment(ms / 1000).split(" ")[1]}.${String(((ms % 1000) + 1000) % 1000).padStart(3, "0")}`;
}

/** Labels for moments on an axis: the time of day, with the date at the first and where the day changes; or dates alone. */
export function moments(all) {
  const apart = all.length > 1 ? all[1] - all[0] : 1;
  let day = "";
  return all.map((seconds) => {
    const [date, time] = moment(seconds).split(" ");
    if (apart >= 86400) return date;
    const clock = apart >= 60 ? time.slice(0, 5) : apart >= 1 ? time : `${time}${(seconds % 1).toFixed(3).slice(1)}`;
    const isNew = date !== day;
    day = date;
    return isNew ? `${date.slice(5)} ${clock}` : clock;
  });
}
