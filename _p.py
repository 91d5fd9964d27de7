import gc, time, msgspec
from datetime import date
from pathlib import Path
from tests.bench.simulation import _WEEKLY,_records,HOLDOUT
from incentives.simulation.spool import *
from incentives.simulation.report import over
from incentives.rules.evaluate import evaluate
from incentives.rules.events import Facts
from incentives.rules.index import Index, plan_of
from incentives.simulation.replay import Replay
N=40000
p=Path("/tmp/sim_p"); 
with p.open("wb") as f: s=Spool(f); s.write(_records(N,5000))
T=over(msgspec.convert(_WEEKLY,Terms),date(2026,8,1),date(2026,10,30))
gc.set_threshold(200_000,50,1000)
pc=time.process_time
c=pc(); R=list(read_spool(p)); print("decode",(pc()-c)/N*1e6)
ix=Index([plan_of(1,1,T)]); F=Facts(holdout=HOLDOUT)
E=[(r.event,r.at) for r in R if r.event]
for _ in range(2):
  c=pc(); 
  for e,at in E: evaluate(ix,e,F,at)
  print("evaluate",(pc()-c)/N*1e6)
for lim in (False,True):
  rp=Replay([plan_of(1,1,T)],limited=lim,holdout=HOLDOUT)
  c=pc()
  for r in R: rp.feed(r)
  print("feed",(pc()-c)/N*1e6)
  c=pc(); rp.finish(); print("finish",(pc()-c)/N*1e6)
