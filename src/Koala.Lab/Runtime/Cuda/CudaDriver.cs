using System.Runtime.InteropServices;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>Functions of the CUDA driver that load and launch kernels of our own.</summary>
internal static unsafe class CudaDriver
{
    /// <summary>The attribute of a device that is the major number of its architecture; the minor one follows.</summary>
    public const int ArchitectureMajor = 75;

    /// <summary>The attribute of a device that is the number of its multiprocessors.</summary>
    public const int Multiprocessors = 16;

    /// <summary>The attribute of a device that says whether the blocks of a launch can wait for each other.</summary>
    public const int CooperativeLaunch = 95;

    /// <summary>The attribute of a function that is the shared memory which a launch may ask for.</summary>
    public const int MostSharedBytes = 8;

    // Results of loading code that the driver does not know.
    private const int InvalidImage = 200, NoCodeForDevice = 209, UnsupportedVersion = 222;

    private const string Driver = "libcuda.so.1";

    /// <summary>The value of an attribute of the first device.</summary>
    public static int DeviceAttribute(int attribute)
    {
        int value;
        Check(cuDeviceGetAttribute(&value, attribute, 0), "cuDeviceGetAttribute");
        return value;
    }

    /// <summary>Loads machine code. It stays loaded until the process ends, as captured graphs may launch it.</summary>
    /// <returns>The module; null if the driver does not take the code, as one that is older than the compiler.</returns>
    public static IntPtr? LoadModule(ReadOnlySpan<byte> code)
    {
        IntPtr module;
        int result;
        fixed (byte* bytes = code) result = cuModuleLoadData(&module, bytes);
        if (result is InvalidImage or NoCodeForDevice or UnsupportedVersion) return null;
        Check(result, "cuModuleLoadData");
        return module;
    }

    /// <summary>Finds a kernel by its name, and allows it so much shared memory.</summary>
    public static IntPtr Function(IntPtr module, string name, int sharedBytes)
    {
        IntPtr function;
        Check(cuModuleGetFunction(&function, module, name), name);
        Check(cuFuncSetAttribute(function, MostSharedBytes, sharedBytes), name);
        return function;
    }

    /// <summary>Launches a kernel.</summary>
    /// <param name="function">The kernel.</param>
    /// <param name="blocks">The number of blocks.</param>
    /// <param name="threads">The number of threads of a block.</param>
    /// <param name="sharedBytes">The shared memory of a block.</param>
    /// <param name="stream">The driver's stream.</param>
    /// <param name="kind">How it stands to other work.</param>
    /// <param name="arguments">The addresses of the kernel's arguments.</param>
    public static void Launch(
        IntPtr function, int blocks, int threads, int sharedBytes, IntPtr stream, LaunchKind kind, void** arguments)
    {
        var attribute = new LaunchAttribute { Id = (int)kind, Value = 1 };
        var config = new LaunchConfig
        {
            BlocksX = blocks, BlocksY = 1, BlocksZ = 1,
            ThreadsX = threads, ThreadsY = 1, ThreadsZ = 1,
            SharedBytes = sharedBytes,
            Stream = stream,
            Attributes = &attribute,
            AttributeCount = kind == LaunchKind.Ordinary ? 0 : 1,
        };
        Check(cuLaunchKernelEx(&config, function, arguments, null), "cuLaunchKernelEx");
    }

    private static void Check(int result, string what)
    {
        if (result == 0) return;
        IntPtr text;
        var reason = cuGetErrorString(result, &text) == 0 ? Marshal.PtrToStringUTF8(text) : null;
        throw new InvalidOperationException($"The CUDA driver failed in {what} with error {result}: {reason ?? "unknown"}.");
    }

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuDeviceGetAttribute(int* value, int attribute, int device);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuModuleLoadData(IntPtr* module, byte* code);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuModuleGetFunction(
        IntPtr* function, IntPtr module, [MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuFuncSetAttribute(IntPtr function, int attribute, int value);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuLaunchKernelEx(LaunchConfig* config, IntPtr function, void** arguments, void** extra);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuGetErrorString(int error, IntPtr* text);

    // CUlaunchConfig of cuda.h.
    [StructLayout(LayoutKind.Sequential)]
    private struct LaunchConfig
    {
        public int BlocksX, BlocksY, BlocksZ;
        public int ThreadsX, ThreadsY, ThreadsZ;
        public int SharedBytes;
        public IntPtr Stream;
        public LaunchAttribute* Attributes;
        public int AttributeCount;
    }

    // CUlaunchAttribute of cuda.h: its value is a union of 64 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    private struct LaunchAttribute
    {
        [FieldOffset(0)]
        public int Id;

        [FieldOffset(8)]
        public int Value;
    }
}
