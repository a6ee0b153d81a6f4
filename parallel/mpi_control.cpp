// Host values over MPI: numbers and texts that steer a run.
#include <algorithm>
#include <numeric>

#include "parallel/mpi_check.h"
#include "parallel/mpi_communicator.h"
#include "parallel/whereabouts.h"

namespace tandem {

void MpiCommunicator::barrier() {
    const WaitingForRanks waiting;
    mpi_check(MPI_Barrier(comm_), "MPI_Barrier");
}

void MpiCommunicator::sum(std::span<double> values) { reduce(DType::F64, reinterpret_cast<std::byte*>(values.data()), values.size()); }

void MpiCommunicator::sum(std::span<std::int64_t> values) {
    reduce(DType::I64, reinterpret_cast<std::byte*>(values.data()), values.size());
}

/// The largest value of each place; a NaN of any rank wins, so that no rank's failure is lost in a maximum.
template <class T>
void MpiCommunicator::maximum(std::span<T> values) {
    const WaitingForRanks waiting;
    const std::size_t chunk = 65536 / sizeof(T);
    std::vector<T> all;
    for (std::size_t first = 0; first < values.size(); first += chunk) {
        const std::span<T> part = values.subspan(first, std::min(chunk, values.size() - first));
        const int bytes = static_cast<int>(part.size_bytes());
        all.resize(part.size() * static_cast<std::size_t>(size_));
        mpi_check(MPI_Allgather(part.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, comm_), "MPI_Allgather");
        for (std::size_t k = 0; k < all.size(); ++k) {
            T& best = part[k % part.size()];
            if (all[k] > best || all[k] != all[k]) best = all[k];
        }
    }
}

void MpiCommunicator::max(std::span<double> values) { maximum(values); }

void MpiCommunicator::max(std::span<std::int64_t> values) { maximum(values); }

void MpiCommunicator::broadcast(std::string& text, int root) {
    auto length = static_cast<std::uint64_t>(text.size());
    broadcast_bytes(reinterpret_cast<std::byte*>(&length), sizeof(length), root);
    text.resize(length);
    broadcast_bytes(reinterpret_cast<std::byte*>(text.data()), text.size(), root);
}

std::vector<std::string> MpiCommunicator::gather(const std::string& text) {
    const WaitingForRanks waiting;
    const auto ranks = static_cast<std::size_t>(size_);
    std::vector<std::int64_t> lengths(ranks);
    const auto mine = static_cast<std::int64_t>(text.size());
    mpi_check(MPI_Allgather(&mine, 8, MPI_BYTE, lengths.data(), 8, MPI_BYTE, comm_), "MPI_Allgather");
    std::vector<std::string> texts(ranks);
    if (std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}) > static_cast<std::int64_t>(limits_.message)) {
        for (int r = 0; r < size_; ++r) {
            if (r == rank_) texts[static_cast<std::size_t>(r)] = text;
            broadcast(texts[static_cast<std::size_t>(r)], r);
        }
        return texts;
    }
    std::vector<int> counts(ranks), starts(ranks);
    int total = 0;
    for (std::size_t r = 0; r < ranks; ++r) {
        counts[r] = static_cast<int>(lengths[r]);
        starts[r] = total;
        total += counts[r];
    }
    std::string all(static_cast<std::size_t>(total), '\0');
    mpi_check(MPI_Allgatherv(text.data(), static_cast<int>(mine), MPI_BYTE, all.data(), counts.data(), starts.data(), MPI_BYTE, comm_),
              "MPI_Allgatherv");
    for (std::size_t r = 0; r < ranks; ++r) texts[r] = all.substr(static_cast<std::size_t>(starts[r]), static_cast<std::size_t>(counts[r]));
    return texts;
}

}  // namespace tandem
