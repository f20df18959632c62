using Xunit.Sdk;
using Xunit.v3;

// One test at a time: libtorch uses all cores by itself, the number of threads is the process's, and times are measured.
[assembly: Parallelization(Mode = ParallelMode.None)]
