//! Maps, grids, polygons, paths, partition and coverage sweeps.
