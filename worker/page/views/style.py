"""The style of the page, for light and dark screens, from 320 pixels on."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root { color-scheme: light dark; }
body.body--light { color-scheme: light; }
body.body--dark { color-scheme: dark; }
body { --ink: light-dark(#1b1f24, #e8eaed); --paper: light-dark(#ffffff, #14171a);
  --quiet: light-dark(#50565e, #b3bac2);
  --line: light-dark(#d5d9de, #3a4047); --panel: light-dark(#f5f6f8, #1e2226); --link: light-dark(#0b57b7, #8ab9ff);
  --up: light-dark(#0f6b37, #6fdc9a); --down: light-dark(#a3211b, #ff9d94); --calm: light-dark(#5c5200, #e2cf6a);
  --upbg: light-dark(#9fe0b8, #14633a); --downbg: light-dark(#ffb9b3, #8a241d);
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
.q-header { background: var(--panel); color: var(--ink); border-bottom: 1px solid var(--line); padding: .5rem 1rem; }
.q-header .nicegui-row, .top { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; width: 100%; }
.q-header strong { font-size: 1.05rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem .75rem; }
.title { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; }
.nicegui-content { padding: 1rem; max-width: 72rem; margin: 0 auto; gap: 1rem; align-items: stretch; }
a { color: var(--link); text-decoration: underline; } a:visited { color: var(--link); }
nav a { display: inline-block; padding: .25rem 0; color: var(--link); }
nav a[aria-current] { font-weight: 700; text-decoration-thickness: 3px; }
:focus-visible { outline: 3px solid var(--link) !important; outline-offset: 2px; }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0; font-weight: 700; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: .75rem 0 .25rem; font-weight: 650; }
h3 { font-size: 1.05rem; line-height: 1.3; margin: .25rem 0; font-weight: 650; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)); gap: .5rem; margin: 0; }
.figures div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .75rem; }
.figures dt { color: var(--quiet); font-size: .85rem; font-weight: 400; }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 650; }
.texts { list-style: none; margin: 0; padding: 0; }
.texts li { padding: .4rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.name { font-weight: 600; }
.badge { display: inline-block; min-width: 8.5em; font-size: .85rem; font-weight: 600; }
.badge.positive { color: var(--up); } .badge.negative { color: var(--down); } .badge.neutral { color: var(--calm); }
mark { color: inherit; border-radius: 3px; padding: 0; }
mark.up { background: color-mix(in srgb, var(--upbg) var(--strength), transparent); }
mark.down { background: color-mix(in srgb, var(--downbg) var(--strength), transparent); }
.nicegui-content { width: 100%; min-width: 0; } .nicegui-content > * { min-width: 0; max-width: 100%; }
.wide { position: relative; overflow-x: auto; max-width: 100%; } mark { position: relative; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--quiet); }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: break-word; } td.stream { overflow-wrap: anywhere; min-width: 8rem; }
.long { overflow-wrap: anywhere; min-width: 14rem; }
.two-lines { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
summary { display: list-item; cursor: pointer; color: var(--link); padding: .25rem 0; }
.spark line { stroke: var(--line); } .spark polyline { fill: none; stroke: var(--link); stroke-width: 1.5; }
body .q-btn, body .q-btn.text-primary {
  background: var(--panel) !important; color: var(--ink) !important; border: 1px solid var(--quiet);
  text-transform: none; min-height: 44px; align-self: flex-start; }
.q-field__native, .q-field__label, .q-field__input { color: var(--ink) !important; opacity: 1; }
.q-field__label { color: var(--quiet) !important; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
.chart { height: 16rem; width: 100%; } .chart text { fill: var(--quiet); }
.said { font-size: 1rem; } .big { font-size: 1.35rem; line-height: 2.1; overflow-wrap: anywhere; word-spacing: .15em; }
.good { color: var(--up); } .bad { color: var(--down); font-weight: 650; }
.strip { width: 100%; height: auto; } .strip text { fill: var(--ink); font-size: 9px; }
.strip .pos { fill: var(--up); } .strip .neg { fill: var(--down); } .strip .gate { fill: var(--link); }
"""
