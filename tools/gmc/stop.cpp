#include "tools/gmc/stop.h"

#include <csignal>
#include <initializer_list>

namespace gmc::tool {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void request_stop(int signal) {
  stop_requested = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignals::StopSignals() {
  stop_requested = 0;
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, request_stop);
}

StopSignals::~StopSignals() {
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

bool StopSignals::requested() const { return stop_requested != 0; }

}  // namespace gmc::tool
