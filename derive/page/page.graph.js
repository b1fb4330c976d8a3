"use strict";
// The graph of the computation: which boxes there are, where they stand, and the picture.

const NODE = {step: {width: 96, height: 42}, leaf: {width: 84, height: 26}, group: {width: 150, height: 46}};
const GAP = {across: 16, down: 34, bend: 12};
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
    else items.push({kind: "group", first: i, last: end, name: paths[i].slice(level).slice(0, 1).join(),
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
          leaves.set(input, {kind: "leaf", quantity: input, name: quantity.name});
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

// The nodes of each layer from left to right, with a bend in each layer that an edge passes through.
function fillLayers({nodes, edges}) {
  const layers = [];
  const put = node => {
    (layers[node.layer] ??= []).push(node);
    Object.assign(node, {above: [], below: []}, node.kind === "bend" ? {width: GAP.bend, height: 0} : NODE[node.kind]);
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
      // Leaves hang beside the line of steps, and long edges run straight.
      const weight = edge.from.kind === "leaf" ? 0.02 : a.kind === "bend" && b.kind === "bend" ? 4 : 1;
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
  for (let round = 0; round < 6; ++round) {
    const down = round % 2 === 1;
    for (const layer of down ? layers : layers.toReversed()) {
      for (const node of layer) {
        const links = down && node.above.length ? node.above : node.below.length ? node.below : node.above;
        node.wish = links.length ? meanOf(links, other => other.order) + (node.kind === "leaf" ? 0.4 : 0) : node.order;
      }
      layer.sort((a, b) => a.wish - b.wish);
      number(layer);
    }
  }
}

// Moves each node towards its neighbours without changing the order in a layer.
function placeNodes(layers) {
  const apart = (a, b) => (a.width + b.width) / 2 + GAP.across;
  for (const layer of layers)
    layer.forEach((node, i) => { node.x = i ? layer[i - 1].x + apart(layer[i - 1], node) : 0; });
  for (let round = 0; round < 24; ++round) {
    for (const layer of round % 2 ? layers : layers.toReversed()) {
      const wishes = layer.map(node => {
        const links = [...node.above, ...node.below];
        return links.length ? meanOf(links, other => other.x) : node.x;
      });
      const left = [], right = [];
      layer.forEach((node, i) => { left[i] = Math.max(wishes[i], i ? left[i - 1] + apart(layer[i - 1], node) : -Infinity); });
      for (let i = layer.length; i-- > 0;)
        right[i] = Math.min(wishes[i], i + 1 < layer.length ? right[i + 1] - apart(layer[i], layer[i + 1]) : Infinity);
      layer.forEach((node, i) => {
        // The line of steps keeps its place; what hangs beside it gives way.
        const anchor = layer.findIndex(other => other.kind !== "leaf");
        node.x = anchor < 0 ? (left[i] + right[i]) / 2 : i >= anchor ? left[i] : right[i];
      });
    }
  }
  const all = layers.flat();
  const leftmost = Math.min(...all.map(node => node.x - node.width / 2));
  for (const node of all) {
    node.x += GAP.across / 2 - leftmost;
    node.y = NODE.group.height / 2 + 4 + node.layer * (NODE.step.height + GAP.down);
  }
  return {width: Math.max(...all.map(node => node.x + node.width / 2)) + GAP.across / 2,
          height: layers.length * (NODE.step.height + GAP.down) - GAP.down + 14};
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

const shortened = (text, length) => text.length <= length ? text : "…" + text.slice(1 - length);

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
  const line = (text, dy, name) => svg("text", {x, y: y + dy, class: name}, shortened(text, width / 7.4));
  if (node.kind === "leaf") node.element.append(line(node.name, 4, "name"));
  else node.element.append(line(node.name, -3, "name"), line(node.note, 13, "note"));
  return node.element;
}

// Draws the graph; `linkOf` says where a click on a node leads.
function drawGraph(graph, linkOf) {
  const marker = id => svg("marker", {id, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 7, markerHeight: 7,
                                      orient: "auto-start-reverse", markerUnits: "userSpaceOnUse"}, svg("path", {d: "M0 0 8 4 0 8z"}));
  const picture = svg("svg", {viewBox: `0 0 ${graph.width} ${graph.height}`, width: graph.width, height: graph.height},
                      svg("defs", {}, marker("arrow"), marker("arrow-now"), marker("arrow-gradient")));
  for (const edge of graph.edges) {
    edge.element = svg("path", {d: edgePath(edge), class: "edge"});
    picture.append(edge.element);
  }
  for (const node of graph.nodes) picture.append(drawNode(node, linkOf(node)));
  return picture;
}
