// The door to oneDNN (2.x and 3.x): products by single-threaded primitives inside our own thread pool.
//
// oneDNN's own threads spin, and on a machine that does anything else one parallel region then costs milliseconds. So
// each worker tells OpenMP to use one thread and works on its tiles of rows; scratch is ours, one block for each
// worker.
#pragma once

#include "runtime/execute/executor.h"

namespace gmc {

// The table for execute::Options::libraries; null when gmc is built without oneDNN.
const execute::Libraries* onednn();

}  // namespace gmc
