(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const samples = content.samples;
  const byId = (id) => document.getElementById(id);
  const stage = byId("stage"), strip = byId("strip"), details = byId("details"), search = byId("search");

  // Whatever comes from the data goes in as text or as an attribute's value, never as markup.
  const make = (name, attributes = {}, ...inside) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const draw = (name, attributes = {}, ...inside) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const counted = (number, one, many = one + "s") => number.toLocaleString("en") + " " + (number === 1 ? one : many);
  const source = (index) => (pictures[index] ? "data:image/jpeg;base64," + pictures[index] : "");
  const nameOf = (label) => (label in content.names ? content.names[label] : String(label));
  const colourOf = (sample, box) =>
    sample.orphans.includes(box) ? content.orphanColour : content.colours[sample.labels[box]] || "#ffffff";
  const area = ([left, top, right, bottom]) => Math.max(right - left, 0) * Math.max(bottom - top, 0);

  // Filters: chips of one facet widen, facets narrow each other.
  const sizes = [
    ["below 16² px", (each) => each < 256],
    ["16² to 32² px", (each) => each >= 256 && each < 1024],
    ["32² to 96² px", (each) => each >= 1024 && each < 9216],
    ["96² px and more", (each) => each >= 9216],
  ];
  const measuredBoxes = (sample) =>
    content.relations ? sample.children.map((child) => sample.boxes[child]) : sample.boxes;
  const doubts = (sample) => {
    const found = [];
    if (sample.orphans.length) found.push("with an orphan");
    if (sample.ambiguous.length) found.push("with a guess");
    if (!found.length && sample.children.length) found.push("all pairs plain");
    if (!sample.children.length) found.push("without a child");
    return found;
  };
  const sizesOf = (sample) => {
    const areas = measuredBoxes(sample).map(area);
    return sizes.filter(([, fits]) => areas.some(fits)).map(([name]) => name);
  };
  const findingsOf = (sample) =>
    sample.findings.length ? [...new Set(sample.findings.map((each) => each.id))] : ["none"];
  const facets = [
    { name: "Findings", of: findingsOf },
    ...(content.relations
      ? [{ name: "Pairs", of: doubts, order: ["with an orphan", "with a guess", "all pairs plain", "without a child"] }]
      : []),
    { name: content.relations ? "Size of a child" : "Size of a box", of: sizesOf, order: sizes.map(([name]) => name) },
    { name: "Light", of: (sample) => [sample.light], order: ["day", "night", "unknown"] },
    { name: "Split", of: (sample) => [sample.split] },
  ];
  const ranks = { error: 0, warning: 1, info: 2 };
  const severityOf = (id) => (content.kinds[id] ? content.kinds[id].severity : "");
  for (const facet of facets) {
    facet.values = samples.map((sample) => facet.of(sample));
    facet.wanted = new Set();
    const known = [...new Set(facet.values.flat())];
    const rank = (value) => (facet.order ? facet.order.indexOf(value) : (ranks[severityOf(value)] ?? 3));
    facet.chips = new Map(
      (facet.order ? facet.order.filter((each) => known.includes(each)) : known)
        .sort((one, other) => rank(one) - rank(other))
        .map((value) => [value, make("button", { type: "button", class: "chip", "aria-pressed": "false" })]),
    );
  }
  const fitsBut = (index, but) =>
    samples[index].file.toLowerCase().includes(search.value.trim().toLowerCase()) &&
    facets.every(
      (facet) => facet === but || !facet.wanted.size || facet.values[index].some((value) => facet.wanted.has(value)),
    );

  let shown = [];
  let current = 0;
  let lit = null;
  let withBoxes = true;
  let withNames = true;

  const drawFacets = () => {
    for (const facet of facets)
      for (const [value, chip] of facet.chips) {
        const number = samples.filter(
          (_, index) => facet.values[index].includes(value) && fitsBut(index, facet),
        ).length;
        chip.setAttribute("aria-pressed", String(facet.wanted.has(value)));
        chip.classList.toggle("none", !number);
        chip.replaceChildren(
          make("span", { class: severityOf(value) }, value),
          make("span", {}, number.toLocaleString("en")),
        );
      }
  };
  const filter = () => {
    shown = samples.map((_, index) => index).filter((index) => fitsBut(index, null));
    drawFacets();
    drawStrip();
    if (!shown.includes(current) && shown.length) current = shown.find((index) => index > current) ?? shown[0];
    show(current);
  };
  const clear = () => {
    for (const facet of facets) facet.wanted.clear();
    search.value = "";
    filter();
  };

  // The view: the part of the picture that is shown, in its own pixels.
  let svg = null, view = null, whole = null;
  const sizeOf = (sample) => {
    if (sample.width > 0 && sample.height > 0) return [sample.width, sample.height];
    const right = Math.max(640, ...sample.boxes.map((box) => box[2]));
    const bottom = Math.max(480, ...sample.boxes.map((box) => box[3]));
    return [right, bottom];
  };
  const fitted = ([left, top, right, bottom]) => {
    const ratio = (stage.clientWidth || 16) / (stage.clientHeight || 9);
    const wide = Math.max(right - left, (bottom - top) * ratio, 1);
    const high = wide / ratio;
    return [(left + right - wide) / 2, (top + bottom - high) / 2, wide, high];
  };
  const setView = (next) => {
    const scale = Math.min(Math.max(next[2], whole[2] / 80), whole[2] * 1.5) / next[2];
    view = [
      next[0] + (next[2] * (1 - scale)) / 2, next[1] + (next[3] * (1 - scale)) / 2, next[2] * scale, next[3] * scale,
    ];
    svg.setAttribute("viewBox", view.join(" "));
    byId("zoom").textContent = Math.round((100 * whole[2]) / view[2]) + " %";
    const image = svg.querySelector("image");
    if (image) image.style.imageRendering = whole[2] / view[2] > 6 ? "pixelated" : "auto";
    placeCaptions();
  };
  const zoomBy = (factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) =>
    setView([x - (x - view[0]) / factor, y - (y - view[1]) / factor, view[2] / factor, view[3] / factor]);
  const closeUp = (box) => {
    const [left, top, right, bottom] = box;
    const x = 1.2 * Math.max(right - left, 6), y = 1.2 * Math.max(bottom - top, 6);
    setView(fitted([left - x, top - y, right + x, bottom + y]));
  };

  const rectangle = (box, attributes) =>
    draw("rect", {
      x: box[0], y: box[1], width: Math.max(box[2] - box[0], 0), height: Math.max(box[3] - box[1], 0), ...attributes,
    });
  const joined = (child, parent, attributes) => {
    const middle = [(child[0] + child[2]) / 2, (child[1] + child[3]) / 2];
    let end = [(parent[0] + parent[2]) / 2, (parent[1] + parent[3]) / 2];
    const leaves = () => {
      const across = Math.abs(end[0] - middle[0]), down = Math.abs(end[1] - middle[1]);
      return Math.min((child[2] - child[0]) / 2 / across, (child[3] - child[1]) / 2 / down, 1) || 0;
    };
    // Where the middle of the parent lies in the child or near it, the line goes to the parent's upper edge.
    const close = Math.hypot(end[0] - middle[0], end[1] - middle[1]) * (1 - leaves());
    if (close < 0.06 * (parent[2] - parent[0])) end = [end[0], parent[1]];
    const share = leaves();
    const start = middle.map((each, axis) => each + share * (end[axis] - each));
    const line = { x1: start[0], y1: start[1], x2: end[0], y2: end[1] };
    const dot = { x1: end[0], y1: end[1], x2: end[0], y2: end[1], "stroke-linecap": "round", class: "join" };
    return [
      draw("line", { ...line, class: "shade" }),
      draw("line", { ...line, ...attributes }),
      draw("line", { ...dot, stroke: attributes.stroke, style: "stroke-width: 8" }),
    ];
  };

  const placeCaptions = () => {
    const layer = svg.querySelector(".captions");
    layer.replaceChildren();
    if (!withBoxes || !withNames) return;
    const sample = samples[current];
    const unit = view[2] / (stage.clientWidth || 1);
    const letters = 12 * unit, pad = 4 * unit, high = 16 * unit;
    const taken = sample.children.map((child) => sample.boxes[child]);
    const order = sample.boxes.map((_, box) => box);
    order.sort((one, other) => area(sample.boxes[one]) - area(sample.boxes[other]));
    for (const box of order) {
      const [left, top, right, bottom] = sample.boxes[box];
      const text = draw("text", { "font-size": letters }, nameOf(sample.labels[box]));
      const back = draw("rect", { fill: colourOf(sample, box), rx: 2 * unit });
      const group = draw("g", { class: "caption" }, back, text);
      layer.append(group);
      const wide = text.getComputedTextLength() + 2 * pad;
      const edge = 2 * unit;
      let best = null, least = Infinity;
      for (const [preference, [x, y]] of [
        [left - edge, top - edge - high], [left - edge, bottom + edge], [right - wide + edge, top - edge - high],
        [right - wide + edge, bottom + edge], [left + edge, top + edge], [right + edge, top], [left - wide - edge, top],
      ].entries()) {
        const across = Math.min(Math.max(x, view[0]), view[0] + view[2] - wide);
        const down = Math.min(Math.max(y, view[1]), view[1] + view[3] - high);
        const moved = Math.abs(across - x) + Math.abs(down - y);
        const hidden = taken.reduce(
          (sum, other) =>
            sum +
            Math.max(Math.min(across + wide, other[2]) - Math.max(across, other[0]), 0) *
              Math.max(Math.min(down + high, other[3]) - Math.max(down, other[1]), 0),
          0,
        );
        const cost = hidden + 0.02 * preference * wide * high + moved * high;
        if (cost < least) [least, best] = [cost, [across, down, moved]];
      }
      // A caption far from its box would only mislead: the box is out of sight.
      if (right < view[0] || left > view[0] + view[2] || bottom < view[1] || top > view[1] + view[3]) {
        group.remove();
        continue;
      }
      for (const [key, value] of [["x", best[0]], ["y", best[1]], ["width", wide], ["height", high]])
        back.setAttribute(key, value);
      text.setAttribute("x", best[0] + pad);
      text.setAttribute("y", best[1] + high - 4.5 * unit);
      taken.push([best[0], best[1], best[0] + wide, best[1] + high]);
    }
  };

  const drawPicture = (index) => {
    const sample = samples[index];
    const [width, height] = sizeOf(sample);
    const boxes = draw("g", { class: "boxes" });
    sample.parents.forEach((parent, child) => {
      if (parent < 0) return;
      const guess = sample.ambiguous.includes(child) ? " dashes" : "";
      const stroke = colourOf(sample, child);
      boxes.append(...joined(sample.boxes[child], sample.boxes[parent], { class: "join" + guess, stroke }));
    });
    const order = sample.boxes.map((_, box) => box);
    order.sort((one, other) => area(sample.boxes[other]) - area(sample.boxes[one]));
    for (const box of order) {
      const lost = sample.orphans.includes(box) ? " dashes" : "";
      boxes.append(
        rectangle(sample.boxes[box], { class: "shade" }),
        rectangle(sample.boxes[box], { class: "box" + lost, stroke: colourOf(sample, box), "data-box": box }),
      );
    }
    svg = draw("svg", { role: "img", "aria-label": sample.name });
    if (pictures[index])
      svg.append(draw("image", { href: source(index), width, height, preserveAspectRatio: "none" }));
    else svg.append(draw("rect", { class: "ground", width, height }));
    svg.append(boxes, draw("g", { class: "captions" }));
    boxes.style.display = withBoxes ? "" : "none";
    stage.replaceChildren(svg, ...(sample.failure ? [make("p", { class: "error" }, sample.failure)] : []));
    whole = fitted([0, 0, width, height]);
    setView(whole);
  };

  const light = (box) => {
    lit = box;
    if (svg)
      for (const each of svg.querySelectorAll(".box")) each.classList.toggle("lit", Number(each.dataset.box) === box);
    for (const row of details.querySelectorAll("[data-box]"))
      row.classList.toggle("lit-row", box !== null && Number(row.dataset.box) === box);
  };
  const leadsTo = (row, box) => {
    row.setAttribute("tabindex", "0");
    row.dataset.box = box;
    row.addEventListener("mouseenter", () => light(box));
    row.addEventListener("mouseleave", () => light(null));
    const go = () => {
      closeUp(samples[current].boxes[box]);
      light(box);
    };
    row.addEventListener("click", go);
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter") go();
    });
    return row;
  };
  const where = (finding) => finding.file + (finding.line === null ? "" : ":" + finding.line);
  const findingRow = (finding) => {
    const row = make(
      "li", {},
      make("b", { class: finding.severity }, finding.id),
      make("small", {}, where(finding)),
      finding.message,
    );
    if (content.kinds[finding.id]) row.title = content.kinds[finding.id].meaning;
    return row;
  };

  const drawDetails = (index) => {
    const sample = samples[index];
    const facts = [sample.split, sample.width + " × " + sample.height + " px"];
    if (sample.light !== "unknown") facts.push(sample.light + (sample.lightMeasured ? " (by brightness)" : ""));
    const parts = [make("p", {}, sample.file), make("p", { class: "soft" }, facts.join(" · "))];
    if (sample.labelFile) parts.push(make("p", { class: "soft" }, "labels: " + sample.labelFile));
    parts.push(make("h2", {}, sample.findings.length ? counted(sample.findings.length, "finding") : "No findings"));
    const list = make("ul", { class: "list" });
    for (const finding of sample.findings) {
      const row = findingRow(finding);
      list.append(finding.box === null ? row : leadsTo(row, finding.box));
    }
    parts.push(list, make("h2", {}, counted(sample.boxes.length, "box", "boxes")));
    const boxes = make("ul", { class: "list" });
    sample.boxes.forEach((box, place) => {
      const told = [(box[2] - box[0]).toFixed(1) + " × " + (box[3] - box[1]).toFixed(1) + " px"];
      if (sample.lines.length) told.push(sample.row + " " + sample.lines[place]);
      const parent = sample.parents[place];
      let pair = "";
      if (parent >= 0) {
        const rowOf = sample.lines.length ? sample.row + " " + sample.lines[parent] : "box " + (parent + 1);
        pair = "in " + nameOf(sample.labels[parent]) + ", " + rowOf;
        pair += sample.ambiguous.includes(place) ? "; a guess" : sample.stated.includes(place) ? "; stated" : "";
      } else if (sample.orphans.includes(place))
        pair = sample.stated.includes(place) ? "orphan, as stated" : "orphan";
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = colourOf(sample, place);
      const row = make("li", {}, swatch, make("b", {}, nameOf(sample.labels[place])), " " + told.join(" · "));
      if (pair) row.append(make("small", {}, pair));
      boxes.append(leadsTo(row, place));
    });
    parts.push(boxes);
    if (content.elsewhere.length) {
      const others = make("ul", { class: "list" }, ...content.elsewhere.map(findingRow));
      const number = content.elsewhere.length + content.elsewhereMore;
      if (content.elsewhereMore)
        others.append(make("li", { class: "soft" }, "… and " + content.elsewhereMore.toLocaleString("en") + " more"));
      parts.push(
        make("details", {}, make("summary", {}, counted(number, "finding") + " about no picture"), others),
      );
    }
    details.replaceChildren(...parts);
    details.scrollTop = 0;
  };

  const worst = (sample) =>
    ["error", "warning", "info"].find((severity) => sample.findings.some((each) => each.severity === severity));
  const drawStrip = () => {
    strip.replaceChildren(
      ...shown.map((index) => {
        const button = make("button", { type: "button", title: samples[index].file, "data-index": index });
        if (pictures[index]) button.append(make("img", { loading: "lazy", decoding: "async", alt: "", src: source(index) }));
        const severity = worst(samples[index]);
        if (severity) button.append(make("i", { class: severity, title: severity }));
        button.append(make("span", {}, String(index + 1)));
        button.addEventListener("click", () => show(index));
        return button;
      }),
    );
    if (!shown.length) strip.append(make("p", { class: "empty" }, "No picture fits these filters."));
  };

  const show = (index) => {
    current = index;
    lit = null;
    const place = shown.indexOf(index);
    byId("place").textContent = (place < 0 ? "–" : place + 1) + " of " + shown.length;
    byId("name").textContent = samples[index].name;
    drawPicture(index);
    drawDetails(index);
    for (const button of strip.querySelectorAll("button")) {
      const mine = Number(button.dataset.index) === index;
      button.setAttribute("aria-current", String(mine));
      if (mine) {
        const off = button.offsetLeft - strip.offsetLeft;
        if (off < strip.scrollLeft || off + button.offsetWidth > strip.scrollLeft + strip.clientWidth)
          strip.scrollLeft = off - strip.clientWidth / 2 + button.offsetWidth / 2;
      }
    }
    if (location.hash !== "#" + (index + 1)) history.replaceState(null, "", "#" + (index + 1));
  };
  const step = (by) => {
    if (!shown.length) return;
    const place = shown.indexOf(current);
    show(shown[(Math.max(place, 0) + by + shown.length) % shown.length]);
  };
  const nextChild = () => {
    const sample = samples[current];
    const order = (content.relations && sample.children.length ? sample.children : sample.boxes.map((_, box) => box))
      .slice()
      .sort((one, other) => area(sample.boxes[one]) - area(sample.boxes[other]));
    if (!order.length) return;
    const next = order[(order.indexOf(lit) + 1) % order.length];
    closeUp(sample.boxes[next]);
    light(next);
  };
  const fromHash = () => {
    const wanted = Number(location.hash.slice(1)) - 1;
    if (!Number.isInteger(wanted) || !(wanted in samples)) return;
    if (shown.includes(wanted)) show(wanted);
    else {
      current = wanted;
      clear();
    }
  };

  const keys = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Home: () => shown.length && show(shown[0]),
    End: () => shown.length && show(shown[shown.length - 1]),
    "+": () => zoomBy(1.4),
    "=": () => zoomBy(1.4),
    "-": () => zoomBy(1 / 1.4),
    0: () => setView(whole),
    c: nextChild,
    b: () => {
      withBoxes = !withBoxes;
      svg.querySelector(".boxes").style.display = withBoxes ? "" : "none";
      placeCaptions();
    },
    n: () => {
      withNames = !withNames;
      placeCaptions();
    },
    "/": () => search.focus(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === "Escape" || event.key === "Enter") search.blur();
      return;
    }
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  byId("back").addEventListener("click", keys.ArrowLeft);
  byId("forth").addEventListener("click", keys.ArrowRight);
  byId("in").addEventListener("click", keys["+"]);
  byId("out").addEventListener("click", keys["-"]);
  byId("whole").addEventListener("click", keys[0]);
  byId("clear").addEventListener("click", clear);
  search.addEventListener("input", filter);
  addEventListener("hashchange", fromHash);
  addEventListener("resize", () => {
    const [width, height] = sizeOf(samples[current]);
    const zoomed = whole[2] / view[2];
    const [x, y] = [view[0] + view[2] / 2, view[1] + view[3] / 2];
    whole = fitted([0, 0, width, height]);
    const [wide, high] = [whole[2] / zoomed, whole[3] / zoomed];
    setView(zoomed === 1 ? whole : [x - wide / 2, y - high / 2, wide, high]);
  });

  const at = (event) => {
    const frame = stage.getBoundingClientRect();
    return [
      view[0] + ((event.clientX - frame.left) / frame.width) * view[2],
      view[1] + ((event.clientY - frame.top) / frame.height) * view[3],
    ];
  };
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 400), ...at(event));
    },
    { passive: false },
  );
  let held = null;
  stage.addEventListener("pointerdown", (event) => {
    held = at(event);
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
  });
  stage.addEventListener("pointermove", (event) => {
    if (!held) return;
    const now = at(event);
    setView([view[0] + held[0] - now[0], view[1] + held[1] - now[1], view[2], view[3]]);
  });
  for (const end of ["pointerup", "pointercancel"])
    stage.addEventListener(end, () => {
      held = null;
      stage.classList.remove("dragging");
    });

  byId("title").textContent = content.title;
  const part =
    samples.length === content.of
      ? counted(samples.length, "picture")
      : samples.length.toLocaleString("en") + " of " + counted(content.of, "picture");
  byId("said").textContent = part + (content.said ? "; " + content.said : "");
  const used = [...new Set(samples.flatMap((sample) => sample.labels))].sort((one, other) => one - other).slice(0, 12);
  const mark = (text, ...drawn) =>
    byId("legend").append(make("li", {}, draw("svg", { viewBox: "0 0 28 16", "aria-hidden": "true" }, ...drawn), text));
  for (const label of used)
    mark(nameOf(label), rectangle([4, 3, 24, 13], { class: "box", stroke: content.colours[label] || "#fff" }));
  if (content.relations) {
    const [line, stroke] = [{ x1: 3, y1: 8, x2: 24, y2: 8 }, "#fff"];
    mark("child to parent", draw("line", { ...line, class: "join", stroke }));
    mark("a guess", draw("line", { ...line, class: "join dashes", stroke }));
    mark("orphan", rectangle([4, 3, 24, 13], { class: "box dashes", stroke: content.orphanColour }));
  }
  for (const facet of facets) {
    if (facet.chips.size < 1) continue;
    byId("facets").append(make("h2", {}, facet.name));
    for (const [value, chip] of facet.chips) {
      if (content.kinds[value]) chip.title = content.kinds[value].meaning;
      chip.addEventListener("click", () => {
        if (!facet.wanted.delete(value)) facet.wanted.add(value);
        filter();
      });
      byId("facets").append(chip);
    }
  }
  const asked = Number(location.hash.slice(1)) - 1;
  if (Number.isInteger(asked) && asked in samples) current = asked;
  filter();
})();
