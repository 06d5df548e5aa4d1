// Moving about in a chart: drag to pan, Shift and drag for a box, wheel and pinch to zoom, double click and double tap to see all, and the
// same with keys. The wheel scrolls the page until the chart was clicked, or with Ctrl: a page full of charts must scroll.

const WHEEL = 0.0016;
const STEP = 0.15;
const KEY_ZOOM = 1.5;

/** Makes `chart` (drawn into `host`) move. `hint()` is called when the wheel turned and nothing happened. */
export function addGestures(chart, host, hint) {
  const pointers = new Map();
  let drag = null;

  const over = () => chart.plot?.over;
  const placeOf = (event) => {
    const box = over().getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width, height: box.height };
  };
  const inside = (event) => over()?.contains(event.target);

  host.addEventListener("pointerdown", (event) => {
    if (!inside(event) || (event.pointerType === "mouse" && event.button !== 0)) return;
    pointers.set(event.pointerId, event);
    if (event.pointerType !== "touch" || pointers.size > 1) over().setPointerCapture(event.pointerId);
    const kind = pointers.size > 1 ? "pinch" : event.shiftKey ? "box" : "pan";
    drag = { kind, from: placeOf(event), x: [...chart.xRange], y: [...chart.yRange], isFixed: chart.yFixed !== null, moved: false };
    if (kind === "pinch") drag.apart = apart(pointers);
  });

  host.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId) || drag === null) return;
    pointers.set(event.pointerId, event);
    const at = placeOf(event);
    if (!drag.moved && Math.hypot(at.x - drag.from.x, at.y - drag.from.y) < 4) return;
    if (!drag.moved && event.pointerType === "touch" && drag.kind === "pan" && Math.abs(at.y - drag.from.y) > Math.abs(at.x - drag.from.x)) {
      drag = null; // the page scrolls
      return;
    }
    drag.moved = true;
    if (drag.kind === "pan") pan(at);
    else if (drag.kind === "box") box(at);
    else pinch();
  });

  const end = (event) => {
    if (drag?.kind === "box" && drag.moved && event.type === "pointerup") take(placeOf(event));
    pointers.delete(event.pointerId);
    if (pointers.size === 0) drag = null;
    chart.plot?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  };
  host.addEventListener("pointerup", end);
  host.addEventListener("pointercancel", end);

  host.addEventListener("dblclick", (event) => inside(event) && chart.reset());

  host.addEventListener(
    "wheel",
    (event) => {
      if (!inside(event)) return;
      if (!event.ctrlKey && !event.metaKey && !host.contains(document.activeElement)) {
        hint();
        return;
      }
      event.preventDefault();
      const at = placeOf(event);
      const turned = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) shift((event.deltaX / at.width) * 0.8);
      else zoom(Math.exp(turned * (event.ctrlKey ? 6 : 1) * WHEEL), at.x / at.width, event.altKey ? at.y / at.height : null);
    },
    { passive: false },
  );

  host.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => (event.shiftKey ? point(-1) : shift(-STEP)),
      ArrowRight: () => (event.shiftKey ? point(1) : shift(STEP)),
      "+": () => zoom(1 / KEY_ZOOM, 0.5),
      "=": () => zoom(1 / KEY_ZOOM, 0.5),
      "-": () => zoom(KEY_ZOOM, 0.5),
      0: () => chart.reset(),
      Home: () => chart.reset(),
    };
    const act = keys[event.key];
    if (act === undefined || chart.plot === null) return;
    event.preventDefault();
    act();
  });

  function pan(at) {
    const dx = ((at.x - drag.from.x) / at.width) * (drag.x[1] - drag.x[0]);
    const y = drag.isFixed ? moved(drag.y, (at.y - drag.from.y) / at.height) : null;
    chart.show([drag.x[0] - dx, drag.x[1] - dx], y);
  }

  function moved(range, share) {
    const [low, high] = chart.isLog ? range.map(Math.log10) : range;
    const by = share * (high - low);
    return chart.isLog ? [10 ** (low + by), 10 ** (high + by)] : [low + by, high + by];
  }

  function box(at) {
    const left = Math.max(0, Math.min(at.x, drag.from.x));
    const top = Math.max(0, Math.min(at.y, drag.from.y));
    const width = Math.min(at.width, Math.max(at.x, drag.from.x)) - left;
    const height = Math.min(at.height, Math.max(at.y, drag.from.y)) - top;
    chart.plot.setSelect({ left, top, width, height }, false);
    return { left, top, width, height };
  }

  function take(at) {
    const { left, top, width, height } = box(at);
    if (width < 6) return;
    const x = [chart.plot.posToVal(left, "x"), chart.plot.posToVal(left + width, "x")];
    chart.show(x, height < 12 ? null : [chart.plot.posToVal(top + height, "y"), chart.plot.posToVal(top, "y")]);
  }

  function pinch() {
    const [now, then] = [apart(pointers), drag.apart];
    const box = over().getBoundingClientRect();
    const share = (then.middle - box.left) / box.width;
    const span = ((drag.x[1] - drag.x[0]) * then.distance) / Math.max(20, now.distance);
    const fixed = drag.x[0] + share * (drag.x[1] - drag.x[0]);
    const from = fixed - span * ((now.middle - box.left) / box.width);
    chart.show([from, from + span]);
  }

  function zoom(factor, share, yShare = null) {
    const grown = (range, at, by) => {
      const fixed = range[0] + at * (range[1] - range[0]);
      return [fixed - (fixed - range[0]) * by, fixed + (range[1] - fixed) * by];
    };
    const y = yShare === null || chart.isLog ? chart.yFixed : grown(chart.yRange, 1 - yShare, factor);
    chart.show(grown(chart.xRange, share, factor), y);
  }

  function shift(share) {
    const by = share * (chart.xRange[1] - chart.xRange[0]);
    chart.show([chart.xRange[0] + by, chart.xRange[1] + by]);
  }

  /** Moves the cursor by keys, a fiftieth of the width at a time. */
  function point(direction) {
    const width = over().clientWidth;
    const now = chart.plot.cursor.left;
    const left = Math.max(0, Math.min(width, (now < 0 ? width / 2 : now) + (direction * width) / 50));
    chart.isPointedAt = true;
    chart.plot.setCursor({ left, top: over().clientHeight / 2 });
  }
}

function apart(pointers) {
  const [a, b] = [...pointers.values()];
  return { distance: Math.abs(a.clientX - b.clientX), middle: (a.clientX + b.clientX) / 2 };
}
