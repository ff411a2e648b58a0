"""Style of the HTML pages: system fonts, light and dark, nothing loaded from elsewhere."""

CSS = '''
:root { color-scheme: light dark; --ink: #1f2430; --dim: #5d6573; --line: #dfe2e7; --paper: #fff;
  --soft: #f5f6f8; --mark: 0, 114, 178; --good: #1b6e43; --part: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --dim: #a3aab6; --line: #373c46;
  --paper: #17191e; --soft: #20242b; --mark: 86, 180, 233; --good: #6fce9b; --part: #e3b04b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header { border-bottom: 1px solid var(--line); padding: 1.4rem 2rem .7rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; font-weight: 650; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: .5rem; font-weight: 650; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; font-weight: 650; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .9rem; }
a { color: rgb(var(--mark)); text-decoration: none; } a:hover { text-decoration: underline; }
main { max-width: 1240px; padding: 0 2rem 4rem; }
p { max-width: 50rem; margin: .5rem 0 .9rem; }
small { display: block; color: var(--dim); font-size: .8em; font-weight: 400; }
code { font: .88em ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.cards { display: flex; flex-wrap: wrap; gap: .7rem; margin: .6rem 0 1rem; }
.card { background: var(--soft); border-radius: 6px; padding: .6rem .9rem; color: var(--dim); }
.card b, .card strong { color: var(--ink); font-size: 1.15em; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .38rem .75rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { font-weight: 600; } thead th { color: var(--dim); font-size: .92em; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
b { font-weight: 600; } .ci { color: var(--dim); font-size: .86em; display: block; }
.card .ci { display: inline; } .dim { color: var(--dim); }
.text th, .text td { text-align: left; white-space: normal; }
.text td span { white-space: nowrap; } .text td:last-child { min-width: 16rem; }
.clear { display: inline-block; padding: 0 .4rem; border-radius: 4px;
  background: rgba(var(--mark), .16); }
.confusion td { padding: 2px; border: 0; } .confusion th { border: 0; }
.cell { display: block; min-width: 6rem; padding: .45rem .7rem; border-radius: 4px;
  text-align: center; background: rgba(var(--mark), calc(.05 + .45 * var(--share))); }
.cell small { color: inherit; opacity: .8; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--dim); font-size: .92rem; }
.notes { border-left: 3px solid var(--part); margin: 1rem 0; padding: .3rem 1rem .3rem 1.2rem;
  list-style-position: inside; } ul.notes li { margin: .2rem 0; }
.filled-in { color: var(--good); } .in-part { color: var(--part); } .open { color: var(--dim); }
figure { margin: 1rem 0; } figure > img { max-width: 100%; background: #fff; border-radius: 6px; }
figcaption { color: var(--dim); font-size: .88rem; max-width: 50rem; margin-top: .3rem; }
.error { display: inline-block; width: 200px; margin: 0 .9rem 1rem 0; vertical-align: top; }
.error > img, .blank { width: 200px; height: 200px; object-fit: contain; background: #000; }
.blank { display: flex; align-items: center; justify-content: center; color: var(--dim);
  background: var(--soft); border-radius: 6px; }
.pair, .pair > img, .pair .blank { width: 408px; }
.error b { color: var(--ink); } .error small { overflow-wrap: anywhere; }
@media print { nav { display: none; } section { break-inside: auto; } }
'''
