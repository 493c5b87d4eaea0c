// What a training run leaves: metrics.csv, validation.csv, events for TensorBoard, samples, report.html.
#pragma once

#include "tools/gmc/events.h"
#include "tools/gmc/report.h"
#include "tools/gmc/result_file.h"

#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

using Values = std::vector<std::pair<std::string, double>>;

class TrainOutput {
public:
  // Makes `folder` if need be. `resume`: a checkpoint of step `first`; the rows before it, of the tables beside it, are
  // taken over. `events`: whether there is an event file.
  TrainOutput(const std::string& folder, const std::string& resume, int64_t first, bool events);

  void metrics(int64_t step, const Values&);
  void validation(int64_t step, const Values&);
  // Writes SAMPLES.png, .txt or .npy and returns the name.
  std::string samples(int64_t step, const std::string& name, const HostTensor&, const View&);
  // Writes the tables and hands over the events; with `report`, the report as well.
  void save();
  void save_report(const std::string& title, const std::vector<std::pair<std::string, std::string>>& facts);

private:
  struct Table {
    std::string text;
    std::vector<std::string> names;
    std::vector<std::pair<int64_t, std::vector<double>>> rows;
    void read(const std::string& path, int64_t end);
    void add(int64_t step, const Values&);
  };
  std::vector<Curve> curves() const;

  std::string folder_;
  Table metrics_, validation_;
  std::unique_ptr<EventFile> events_;
  std::vector<Report::Exhibit> exhibits_;
};

}  // namespace gmc::tool
