using Xunit.Sdk;
using Xunit.v3;

// Tests run one at a time: libtorch uses all cores by itself, the number of threads belongs to the process, and some
// tests measure times.
[assembly: Parallelization(Mode = ParallelMode.None)]
