'use strict';
// All slices of a scan, and the two planes across them. Data come from the page itself: nothing is
// loaded, and texts are set as text.
(() => {
  const holder = document.getElementById('scan');
  const scan = JSON.parse(holder.textContent);
  holder.remove(); // tens of megabytes
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const { slices, spacing, reduction, grey, windows, colors, lung } = scan;
  const depth = slices.length;
  const places = new Map(slices.map((slice, place) => [slice.index, place]));
  const viewer = byId('viewer');
  const planes = all('.plane').map((figure) => ({
    name: figure.dataset.plane,
    screen: figure.querySelector('.screen'),
    canvas: figure.querySelector('canvas'),
    slider: figure.querySelector('input'),
    lines: figure.querySelectorAll('.line'),
  }));
  const AXES = { axial: 'slice', coronal: 'row', sagittal: 'column' };
  const TINT = 0.35;
  // where the reader is: the place of the slice in the list, and a pixel of it as shown
  const at = { slice: 0, row: slices[0].size[0] >> 1, column: slices[0].size[1] >> 1 };
  let looks = [];
  let outline = null;

  // ------------------------------------------------------------------ data

  /** Bytes of a plane, as `encode` of viewer.py made them a text. */
  async function decode(text, [height, width]) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
    const plane = new Uint8Array(await new Response(stream).arrayBuffer());
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const left = x ? plane[i - 1] : 0;
        const above = y ? plane[i - width] : 0;
        const corner = x && y ? plane[i - width - 1] : 0;
        const guess = left + above - corner;
        const low = Math.min(left, above);
        const high = Math.max(left, above);
        plane[i] += guess < low ? low : guess > high ? high : guess;
      }
    }
    return plane;
  }

  /** Decode a slice once. */
  function load(slice) {
    slice.loaded ??= Promise.all([
      decode(slice.pixels, slice.size),
      slice.labels && decode(slice.labels, slice.size),
    ]).then(([pixels, labels]) => Object.assign(slice, { pixels, labels, ready: true }));
    return slice.loaded;
  }

  /** Size, grey levels and labels of what a plane shows; what is not decoded yet is black. */
  function cut(name) {
    const [height, width] = slices[at.slice].size;
    if (name === 'axial') {
      const { pixels, labels, ready } = slices[at.slice];
      return { width, height, pixels: ready && pixels, labels: ready && labels };
    }
    const length = name === 'coronal' ? width : height;
    const begin = name === 'coronal' ? at.row * width : at.column;
    const step = name === 'coronal' ? 1 : width;
    const pixels = new Uint8Array(length * depth);
    const labels = new Uint8Array(length * depth);
    slices.forEach((slice, place) => {
      if (!slice.ready) return;
      const line = (depth - 1 - place) * length; // the head is above
      for (let i = 0; i < length; i++) {
        pixels[line + i] = slice.pixels[begin + i * step];
        if (slice.labels) labels[line + i] = slice.labels[begin + i * step];
      }
    });
    return { width: length, height: depth, pixels, labels };
  }

  // --------------------------------------------------------------- drawing

  /** A colour as the four bytes that a canvas has for it, red first. */
  const word = ([red, green, blue]) => (0xff << 24) | (blue << 16) | (green << 8) | red;

  /** Colours of all grey levels under each label, through the window and with the masks chosen. */
  function chooseLook() {
    const chosen = all('input[name=window]').findIndex((input) => input.checked);
    const { level, width } = windows[Math.max(chosen, 0)];
    const shades = Array.from({ length: 256 }, (_, value) => {
      if (!grey) return value;
      const hu = grey.floor + grey.step * value;
      return Math.round(Math.min(Math.max((hu - level) / width + 0.5, 0), 1) * 255);
    });
    const shown = all('input[data-label]').map((box) => byId('masks').checked && box.checked);
    looks = [null, ...colors].map((color, label) => {
      const share = label && label !== lung && shown[label - 1] ? TINT : 0;
      const mix = (shade) => (part) => Math.round(shade * (1 - share) + part * share);
      return Uint32Array.from(shades, (shade) => word((color ?? [0, 0, 0]).map(mix(shade))));
    });
    outline = lung && shown[lung - 1] ? word(colors[lung - 1]) : null;
  }

  /** Grey levels, lesions tinted, the lung, which includes them, outlined. */
  function paint(canvas, { width, height, pixels, labels }) {
    Object.assign(canvas, { width, height });
    if (!pixels) return;
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    if (!labels) {
      pixels.forEach((pixel, i) => (words[i] = looks[0][pixel]));
      context.putImageData(image, 0, 0);
      return;
    }
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const plain =
          outline === null ||
          !labels[i] ||
          (x > 0 && labels[i - 1] && x < width - 1 && labels[i + 1] &&
            y > 0 && labels[i - width] && y < height - 1 && labels[i + width]);
        words[i] = plain ? looks[labels[i]][pixels[i]] : outline;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Two lines through the pixel where the reader is. */
  function cross({ name, canvas, lines }) {
    if (planes.length < 2) return;
    const x = name === 'sagittal' ? at.row : at.column;
    const y = name === 'axial' ? at.row : depth - 1 - at.slice;
    lines[0].style.left = `${((x + 0.5) / canvas.width) * 100}%`;
    lines[1].style.top = `${((y + 0.5) / canvas.height) * 100}%`;
  }

  function drawPlane(plane) {
    const shown = cut(plane.name);
    const [x, y, z] = spacing ?? [1, 1, 1];
    const across = shown.width * (plane.name === 'sagittal' ? y : x);
    const down = shown.height * (plane.name === 'axial' ? y : z);
    plane.screen.style.setProperty('--aspect', across / down);
    paint(plane.canvas, shown);
  }

  /** Lesion load as bars, class scores as lines, and where the reader is. */
  function drawProfile() {
    const canvas = byId('profile');
    if (!canvas) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    context.font = '11px system-ui, sans-serif';
    const column = width / depth;
    const bands = [scan.loads && 'loads', scan.scores && 'scores'].filter(Boolean);
    const high = height / bands.length - 14;
    context.fillStyle = 'rgba(255, 255, 255, .07)';
    slices.forEach((slice, place) => {
      if (!slice.in_region) context.fillRect(place * column, 0, column, height);
    });
    bands.forEach((band, number) => {
      const bottom = (number + 1) * (height / bands.length) - 1;
      const sums = slices.map((slice) => (slice.loads ?? []).reduce((a, b) => a + b, 0));
      const top = band === 'scores' ? 1 : Math.max(...sums, Number.MIN_VALUE);
      slices.forEach((slice, place) => {
        let y = bottom;
        (slice[band] ?? []).forEach((value, k) => {
          const size = (value / top) * high;
          context.fillStyle = `rgb(${scan[band][k]})`;
          if (band === 'loads') {
            context.fillRect(place * column, (y -= size), Math.max(column - 1, 0.5), size);
          } else {
            context.fillRect(place * column, bottom - size - 1, Math.max(column - 1, 1), 2);
          }
        });
      });
      context.fillStyle = '#a3aab6';
      const most = band === 'scores' ? 'class scores, 0 to 1' : `lesion load, up to ${scan.most}`;
      context.fillText(most, 4, bottom - high - 3);
    });
    context.strokeStyle = '#e6e8ec';
    context.strokeRect(at.slice * column, 0.5, Math.max(column, 2), height - 1);
  }

  /** What is known of the slice and of the pixel, as text. */
  function tell() {
    const slice = slices[at.slice];
    const [, width] = slice.size;
    const { axial } = Object.fromEntries(planes.map((plane) => [plane.name, plane.slider]));
    const place = `Slice ${slice.index}, ${slice.place}`;
    axial.setAttribute('aria-valuetext', place);
    byId('place').textContent = `${place} (${at.slice + 1} of ${depth})`;
    const pixel = [at.column, at.row].map((value) => value * reduction + (reduction >> 1));
    const value = slice.ready ? slice.pixels[at.row * width + at.column] : null;
    const reading =
      value === null ? '' : grey ? `${grey.floor + grey.step * value} HU` : `grey level ${value}`;
    byId('pixel').textContent = `column ${pixel[0]}, row ${pixel[1]}: ${reading}`;
    all('#scores .value').forEach((cell, k) => {
      const score = slice.scores?.[k];
      cell.textContent = score === undefined ? '–' : score.toFixed(3);
      cell.previousElementSibling.firstElementChild.style.width = `${(score ?? 0) * 100}%`;
    });
    byId('withheld')?.toggleAttribute('hidden', Boolean(slice.scores));
    all('button[data-slice]').forEach((button) => {
      if (Number(button.dataset.slice) === slice.index) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    });
  }

  function draw(names = planes.map((plane) => plane.name)) {
    planes.filter((plane) => names.includes(plane.name)).forEach(drawPlane);
    planes.forEach(cross);
    tell();
  }

  // ------------------------------------------------------------ navigation

  /** Go to a slice and a pixel; what is not named stays, what is outside is the nearest inside. */
  function go(to) {
    const before = { ...at };
    Object.assign(at, to);
    const inside = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
    at.slice = inside(at.slice, depth);
    const [height, width] = slices[at.slice].size;
    at.row = inside(at.row, height);
    at.column = inside(at.column, width);
    planes.forEach(({ name, slider }) => {
      slider.max = { axial: depth, coronal: height, sagittal: width }[name] - 1;
      slider.value = at[AXES[name]];
    });
    const moved = Object.keys(AXES).filter((name) => at[AXES[name]] !== before[AXES[name]]);
    draw(moved);
    drawProfile();
    if (!slices[at.slice].ready) load(slices[at.slice]).then(() => draw(['axial']), fail);
  }

  /** Where in a plane an event is, as what `go` takes. */
  function pointed({ name, screen }, event) {
    const box = screen.getBoundingClientRect();
    const [height, width] = slices[at.slice].size;
    const x = (event.clientX - box.left) / box.width;
    const y = (event.clientY - box.top) / box.height;
    if (name === 'axial') return { column: x * width, row: y * height };
    const slice = depth - 1 - Math.floor(y * depth);
    return name === 'coronal' ? { column: x * width, slice } : { row: x * height, slice };
  }

  function listen(plane) {
    const { name, screen, slider } = plane;
    const axis = AXES[name];
    let turned = 0;
    let begun = null;
    slider.addEventListener('input', () => go({ [axis]: Number(slider.value) }));
    screen.addEventListener(
      'wheel',
      (event) => {
        if (event.ctrlKey) return; // zooms the page
        event.preventDefault();
        // a notch of a wheel is a step; touchpads send many small ones
        const moved = event.deltaMode ? event.deltaY * 40 : event.deltaY;
        turned += Math.min(Math.max(moved, -40), 40);
        const steps = Math.trunc(turned / 40);
        turned -= steps * 40;
        if (steps) go({ [axis]: at[axis] - steps });
      },
      { passive: false },
    );
    screen.addEventListener('pointerdown', (event) => {
      begun = { x: event.clientX, from: at[axis], moved: false };
      screen.setPointerCapture(event.pointerId);
      if (event.pointerType !== 'touch') go(pointed(plane, event));
    });
    screen.addEventListener('pointermove', (event) => {
      if (!begun) return;
      if (event.pointerType !== 'touch') {
        go(pointed(plane, event));
        return;
      }
      // a finger that moves sideways goes through the slices; up and down it moves the page
      const steps = Math.round(((event.clientX - begun.x) / screen.clientWidth) * 40);
      begun.moved ||= steps !== 0;
      if (begun.moved) go({ [axis]: begun.from + steps });
    });
    screen.addEventListener('pointerup', (event) => {
      if (event.pointerType === 'touch' && begun && !begun.moved) go(pointed(plane, event));
      begun = null;
    });
    screen.addEventListener('pointercancel', () => (begun = null));
  }

  const KEYS = {
    ArrowUp: () => at.slice + 1,
    ArrowRight: () => at.slice + 1,
    ArrowDown: () => at.slice - 1,
    ArrowLeft: () => at.slice - 1,
    PageUp: () => at.slice + 10,
    PageDown: () => at.slice - 10,
    Home: () => 0,
    End: () => depth - 1,
  };

  viewer.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const ours = !['radio', 'range'].includes(event.target.type); // they know these keys
    if (KEYS[event.key] && ours) {
      event.preventDefault();
      go({ slice: KEYS[event.key]() });
    } else if (event.key === 'm') {
      byId('masks')?.click();
    } else if (event.key === 'w') {
      const inputs = all('input[name=window]');
      inputs[(inputs.findIndex((input) => input.checked) + 1) % inputs.length]?.click();
    }
  });

  byId('profile')?.addEventListener('click', (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    go({ slice: ((event.clientX - box.left) / box.width) * depth });
  });

  /** Go to the lesion that a button names. */
  function goToLesion({ dataset: { slice, column, row } }) {
    go({ slice: places.get(Number(slice)), column: column / reduction, row: row / reduction });
  }

  all('button[data-slice]').forEach((button) =>
    button.addEventListener('click', () => {
      goToLesion(button);
      viewer.scrollIntoView();
      viewer.focus({ preventScroll: true });
    }),
  );

  /** The slice that the address names, as report.html does. */
  function follow() {
    const place = places.get(Number(/^#slice-(\d+)$/.exec(location.hash)?.[1]));
    if (place !== undefined) go({ slice: place });
  }

  function fail(error) {
    byId('place').textContent = `The slices cannot be shown: ${error.message}`;
  }

  // ----------------------------------------------------------------- start

  async function start() {
    chooseLook();
    planes.forEach(listen);
    all('input[name=window], input[data-label], #masks').forEach((input) =>
      input.addEventListener('change', () => {
        chooseLook();
        draw();
      }),
    );
    window.addEventListener('hashchange', follow);
    window.addEventListener('resize', drawProfile);
    go({ slice: depth >> 1 });
    draw();
    all('button[data-slice]').slice(0, 1).forEach(goToLesion); // the largest
    follow();
    viewer.focus({ preventScroll: true });
    for (const [place, slice] of slices.entries()) {
      await load(slice);
      if (place % 32 === 31) draw(['coronal', 'sagittal']);
    }
    draw();
    document.documentElement.dataset.loaded = depth;
  }

  start().catch(fail);
})();
