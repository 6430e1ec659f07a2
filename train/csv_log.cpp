// Written anew from the history each time, which is short.
#include "dnn/train/csv_log.h"

#include "dnn/io.h"
#include "dnn/train/trainer.h"

namespace dnn {

void CsvLog::on_fit_begin(Trainer&) { prepare_to_write(path_); }

void CsvLog::on_epoch_end(Trainer& trainer, const EpochStats&) {
  const std::string text = history_csv(trainer.history());
  write_atomically(path_, [&](OutputFile& file) { file.write(text); });
}

}  // namespace dnn
