using Xunit.Sdk;
using Xunit.v3;

// One test at a time: times are measured.
[assembly: Parallelization(Mode = ParallelMode.None)]
