using Xunit.Sdk;
using Xunit.v3;

// The tests run one at a time, because some of them measure time.
[assembly: Parallelization(Mode = ParallelMode.None)]
