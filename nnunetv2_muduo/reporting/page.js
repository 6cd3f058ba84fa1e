(function () {
  "use strict";
  const reading = document.getElementById("reading");
  let cross = null;

  // What the curves of a figure say at the epoch under the pointer, read back from their points.
  function show(event) {
    const svg = event.currentTarget;
    const [left, top, width, height] = svg.dataset.box.split(" ").map(Number);
    const [first, last, low, high] = svg.dataset.range.split(" ").map(Number);
    const scale = svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
    const x = (event.clientX - svg.getBoundingClientRect().left) * scale;
    let nearest = null;
    const curves = [...svg.querySelectorAll("polyline")].map((line) => {
      const points = line.getAttribute("points").split(" ").map((point) => point.split(",").map(Number));
      const point = points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
      if (nearest === null || Math.abs(point[0] - x) < Math.abs(nearest - x)) nearest = point[0];
      return { line, points };
    });
    const epoch = Math.round(first + ((last - first) * (nearest - left)) / width);
    reading.replaceChildren(document.createTextNode("epoch " + epoch));
    for (const { line, points } of curves) {
      const near = points.length > 60 ? 1.5 : 0.02; // long curves are thinned, each to epochs of its own
      const point = points.reduce((a, b) => (Math.abs(b[0] - nearest) < Math.abs(a[0] - nearest) ? b : a));
      if (Math.abs(point[0] - nearest) > near) continue;
      const value = high - ((high - low) * (point[1] - top)) / height;
      const row = document.createElement("div");
      const dot = document.createElement("i");
      dot.className = [...line.classList].find((name) => /^c\d$/.test(name));
      row.append(dot, line.dataset.label + ": " + Number(value.toPrecision(3)));
      reading.append(row);
    }
    if (cross === null || cross.parentNode !== svg) {
      hide();
      cross = document.createElementNS(svg.namespaceURI, "path");
      cross.setAttribute("class", "cross");
      svg.append(cross);
    }
    cross.setAttribute("d", "M" + nearest + " " + top + "v" + height);
    reading.hidden = false;
    const beside = event.clientX + 14 + reading.offsetWidth < document.documentElement.clientWidth;
    reading.style.left = Math.max(0, beside ? event.clientX + 14 : event.clientX - 14 - reading.offsetWidth) + "px";
    reading.style.top = Math.min(event.clientY + 14, window.innerHeight - reading.offsetHeight - 4) + "px";
  }

  function hide() {
    reading.hidden = true;
    if (cross !== null) cross.remove();
    cross = null;
  }

  for (const svg of document.querySelectorAll("svg.chart")) {
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", hide);
  }
})();
