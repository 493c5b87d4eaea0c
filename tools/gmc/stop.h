// Ctrl-C and SIGTERM: the first asks to stop after the current step, the second ends the process as usual.
#pragma once

namespace gmc::tool {

class StopSignals {
public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  bool requested() const;
};

}  // namespace gmc::tool
