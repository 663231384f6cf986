"""What stands on every page around it: header, prompt bars, token strips, selection bar, and the stores jobs write to.

Life of a request, in each slot: `REQUEST` → `answer` (known, refused, waiting, admitted) → `ADMITTED` → `run_job` in a
process of its own → `PROGRESS`, `JOB_RESULT`. The browser puts all of it together in `LIVE`, which the prompt bar
draws, and in `RUN`, which changes only when panels have something to do. All stores live here, so that changing pages
neither stops a job nor loses its result.
"""
