// Everything a model needs, installed as <gmc/gmc.h>.
#pragma once

#include "compiler/dsl/control.h"
#include "compiler/dsl/model.h"
#include "compiler/dsl/program.h"
#include "models/compiled.h"
#include "models/nn/ema.h"
#include "models/nn/init.h"
#include "models/nn/linear.h"
#include "models/nn/optimizer.h"
#include "models/nn/schedule.h"
#include "ops/ops.h"
