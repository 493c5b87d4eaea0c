// Room for the outputs of an entry, of which the scalars are read.
#pragma once

#include "compiler/package/session.h"

#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

class Scalars {
public:
  Scalars(const package::Session& session, int entry) {
    for (const auto& slot : session.outputs(entry)) {
      names_.push_back(slot.name);
      tensors_.emplace_back(slot.type.dtype, slot.type.shape);
    }
    for (HostTensor& t : tensors_) pointers_.push_back(t.bytes.data());
  }
  const std::vector<void*>& pointers() const { return pointers_; }
  // (name, value) of what is one f32.
  std::vector<std::pair<std::string, double>> values() const {
    std::vector<std::pair<std::string, double>> out;
    for (size_t i = 0; i < names_.size(); ++i)
      if (tensors_[i].dtype == DType::f32 && tensors_[i].count() == 1)
        out.emplace_back(names_[i], tensors_[i].as<float>()[0]);
    return out;
  }

private:
  std::vector<std::string> names_;
  std::vector<HostTensor> tensors_;
  std::vector<void*> pointers_;
};

}  // namespace gmc::tool
