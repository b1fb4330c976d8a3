"use strict";
// The graph of the computation: which boxes there are, where they stand, and the picture.

const HEIGHT = {step: 42, leaf: 26, group: 46, bend: 0};
const GAP = {across: 16, down: 34, bend: 12};
const LETTER = 7;  // the width of one, about
const MOST_STEPS = 200;  // above that, modules are collapsed

// "blocks.0.self_attn.out_proj" as ["blocks.0", "self_attn", "out_proj"]: a number belongs to what stands before it.
function modulePath(module) {
  return module ? module.split(/\.(?!\d+(?:\.|$))/) : [];
}

// What is drawn for the forward steps first … last: each step, or, where there are too many, one box for each run of
// steps of one module, except for the module of the current step.
function visibleItems(data, first, last, current, level = 0) {
  const single = i => ({kind: "step", first: i, last: i, name: data.quantities[data.forward[i].result].name,
                        note: data.forward[i].operation});
  const paths = data.forward.map(step => modulePath(step.module));
  const items = [];
  for (let i = first; i <= last;) {
    let end = i;
    while (end < last && paths[i].length > level && paths[end + 1][level] === paths[i][level]) ++end;
    const few = 2 * (last - first + 1) <= MOST_STEPS;
    if (few || end === i) items.push(...Array.from({length: end - i + 1}, (_, k) => single(i + k)));
    else if (i <= current && current <= end) items.push(...visibleItems(data, i, end, current, level + 1));
    else items.push({kind: "group", first: i, last: end, name: paths[i][level],
                     title: paths[i].slice(0, level + 1).join("."), note: `${end - i + 1} steps`});
    i = end + 1;
  }
  return items;
}

// Items and leaves with the edges between them.
function makeGraph(data, current) {
  const items = visibleItems(data, 0, data.forward.length - 1, current);
  const itemOf = [];
  for (const item of items) for (let i = item.first; i <= item.last; ++i) itemOf[i] = item;
  const nodes = [], edges = new Map(), leaves = new Map();
  const connect = (from, to, quantity) => {
    const key = `${nodes.indexOf(from)} ${quantity} ${nodes.indexOf(to)}`;
    if (from !== to && !edges.has(key)) edges.set(key, {from, to, quantity});
  };
  for (const item of items) {
    const inputs = new Set();
    for (let i = item.first; i <= item.last; ++i) data.forward[i].inputs.forEach(input => inputs.add(input));
    nodes.push(item);
    for (const input of inputs) {
      const quantity = data.quantities[input];
      if (quantity.isNumber) continue;
      if (quantity.step !== null) {
        connect(itemOf[quantity.step], item, input);
      } else if (leaves.has(input) || item.kind === "step") {
        if (!leaves.has(input)) {
          // Parameters hang beside the line of steps; what no step comes before is in line.
          const hangs = input !== data.forward[item.first].inputs[0];
          leaves.set(input, {kind: "leaf", quantity: input, name: quantity.name, hangs});
          nodes.push(leaves.get(input));
        }
        connect(leaves.get(input), item, input);
      }
    }
  }
  return {nodes, edges: [...edges.values()]};
}

// The layer of each node, counted from the top: as far up as the longest path to the result is long.
function setLayers({nodes, edges}) {
  const outputs = new Map(nodes.map(node => [node, []]));
  for (const edge of edges) outputs.get(edge.from).push(edge.to);
  const depth = node => node.depth ??= 1 + Math.max(-1, ...outputs.get(node).map(depth));
  for (let i = nodes.length; i-- > 0;) depth(nodes[i]);  // from the end, so that the recursion is never deep
  const deepest = Math.max(...nodes.map(node => node.depth));
  for (const node of nodes) node.layer = deepest - node.depth;
}

function widthOf({kind, name, note}) {
  if (kind === "bend") return GAP.bend;
  const letters = Math.max(name.length, note?.length ?? 0);
  return Math.min(Math.max(letters * LETTER + 22, kind === "leaf" ? 44 : 88), 140);
}

// The nodes of each layer from left to right, with a bend in each layer that an edge passes through.
function fillLayers({nodes, edges}) {
  const layers = [];
  const put = node => {
    (layers[node.layer] ??= []).push(node);
    Object.assign(node, {above: [], below: [], height: HEIGHT[node.kind], width: widthOf(node)});
  };
  nodes.forEach(put);
  for (const edge of edges) {
    edge.points = [edge.from];
    for (let layer = edge.from.layer + 1; layer < edge.to.layer; ++layer) {
      const bend = {kind: "bend", layer};
      put(bend);
      edge.points.push(bend);
    }
    edge.points.push(edge.to);
    for (let i = 1; i < edge.points.length; ++i) {
      const [a, b] = [edge.points[i - 1], edge.points[i]];
      // Long edges run straight, and beside the line of steps.
      const bends = (a.kind === "bend") + (b.kind === "bend");
      const weight = edge.from.hangs ? 0.02 : [1, 0.05, 4][bends];
      a.below.push({node: b, weight});
      b.above.push({node: a, weight});
    }
  }
  return layers;
}

const meanOf = (links, value) =>
  links.reduce((sum, {node, weight}) => sum + weight * value(node), 0) / links.reduce((sum, link) => sum + link.weight, 0);

// Sorts each layer by where its neighbours stand, so that few edges cross; leaves stay to the right.
function orderLayers(layers) {
  const number = layer => layer.forEach((node, i) => { node.order = i; });
  layers.forEach(number);
  for (let round = 0; round < 7; ++round) {
    const down = round % 2 === 1;
    for (const layer of down ? layers : layers.toReversed()) {
      for (const node of layer) {
        const links = down && node.above.length ? node.above : node.below.length ? node.below : node.above;
        node.wish = links.length ? meanOf(links, other => other.order) + (node.hangs ? 0.4 : 0) : node.order;
      }
      layer.sort((a, b) => a.wish - b.wish);
      number(layer);
    }
  }
}

// The places nearest to what the nodes of a layer wish for that keep them in order and apart: the least squares, found
// by pooling neighbours that are in each other's way.
function settle(layer) {
  let offset = 0;
  const pools = [];
  layer.forEach((node, i) => {
    if (i) offset += (layer[i - 1].width + node.width) / 2 + GAP.across;
    node.offset = offset;
    const weight = node.hangs ? 0.01 : node.kind === "bend" ? 0.1 : 1;
    let pool = {nodes: [node], weight, mean: node.wish - offset};
    while (pools.length && pools.at(-1).mean > pool.mean) {
      const before = pools.pop(), sum = before.weight + pool.weight;
      pool = {nodes: [...before.nodes, ...pool.nodes], weight: sum,
              mean: (before.mean * before.weight + pool.mean * pool.weight) / sum};
    }
    pools.push(pool);
  });
  for (const pool of pools) for (const node of pool.nodes) node.x = pool.mean + node.offset;
}

// Moves each node towards its neighbours without changing the order in a layer.
function placeNodes(layers) {
  for (const node of layers.flat()) node.x = 0;
  for (let round = 0; round < 120; ++round) {
    for (const layer of round % 2 ? layers : layers.toReversed()) {
      for (const node of layer) {
        // Below what it was computed from rather than above what uses it.
        const links = [...node.above, ...node.below.map(({node: other, weight}) => ({node: other, weight: weight / 3}))];
        node.wish = links.length ? meanOf(links, other => other.x) : node.x;
      }
      settle(layer);
    }
  }
  const all = layers.flat();
  const leftmost = Math.min(...all.map(node => node.x - node.width / 2));
  for (const node of all) {
    node.x += GAP.across / 2 - leftmost;
    node.y = HEIGHT.group / 2 + 4 + node.layer * (HEIGHT.step + GAP.down);
  }
  return {width: Math.max(...all.map(node => node.x + node.width / 2)) + GAP.across / 2,
          height: layers.length * (HEIGHT.step + GAP.down) - GAP.down + 14};
}

function layOut(data, current) {
  const graph = makeGraph(data, current);
  setLayers(graph);
  const layers = fillLayers(graph);
  orderLayers(layers);
  return {...graph, ...placeNodes(layers)};
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Of a name the end says most, of an operation the beginning.
function shortened(text, length, end) {
  if (text.length <= length) return text;
  return end ? "…" + text.slice(1 - length) : text.slice(0, length - 1) + "…";
}

function edgePath({points}) {
  const top = ({x, y, height}) => `${x.toFixed(1)} ${(y - height / 2 - (height ? 3 : 0)).toFixed(1)}`;
  let path = "";
  points.forEach((point, i) => {
    if (i === 0) path = `M${point.x.toFixed(1)} ${(point.y + point.height / 2 + 3).toFixed(1)}`;
    else {
      const before = points[i - 1];
      const middle = (before.y + before.height / 2 + point.y - point.height / 2) / 2;
      path += `C${before.x.toFixed(1)} ${middle.toFixed(1)} ${point.x.toFixed(1)} ${middle.toFixed(1)} ${top(point)}`;
    }
  });
  return path;
}

function drawNode(node, href) {
  const {x, y, width, height} = node;
  const box = (dx, dy) => svg("rect", {x: x - width / 2 + dx, y: y - height / 2 + dy, width, height,
                                       rx: node.kind === "leaf" ? height / 2 : 8});
  node.element = svg("a", {class: `node ${node.kind}`, href, tabindex: -1}, svg("title", {}, node.title ?? node.name));
  if (node.kind === "group") node.element.append(box(4, 4));
  node.element.append(box(0, 0));
  const line = (text, dy, name) => {
    const letters = Math.floor((width - 14) / LETTER);
    const fitted = text.length > letters ? {textLength: width - 14, lengthAdjust: "spacingAndGlyphs"} : {};
    return svg("text", {x, y: y + dy, class: name, ...fitted}, shortened(text, letters, name === "name"));
  };
  if (node.kind === "leaf") node.element.append(line(node.name, 4, "name"));
  else node.element.append(line(node.name, -3, "name"), line(node.note, 13, "note"));
  return node.element;
}

// Draws the graph; `linkOf` says where a click on a node leads.
function drawGraph(graph, linkOf) {
  const marker = id => svg("marker", {id, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 7, markerHeight: 7,
                                      orient: "auto-start-reverse", markerUnits: "userSpaceOnUse"}, svg("path", {d: "M0 0 8 4 0 8z"}));
  const picture = svg("svg", {viewBox: `0 0 ${graph.width} ${graph.height}`, style: `width: ${graph.width}px; max-width: 100%; min-width: ${0.75 * graph.width}px`},
                      svg("defs", {}, marker("arrow"), marker("arrow-now"), marker("arrow-gradient")));
  for (const edge of graph.edges) {
    edge.element = svg("path", {d: edgePath(edge), class: "edge"});
    picture.append(edge.element);
  }
  for (const node of graph.nodes) picture.append(drawNode(node, linkOf(node)));
  return picture;
}
