using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;
using Lamina.Compute.Gpu.Code;

namespace Lamina.Compute.Tests.Gpu;

/// <summary>Code for NVIDIA's GPUs is made of every kernel, without a GPU.</summary>
public sealed class PtxTests
{
    public static TheoryData<string> Architectures => ["sm_80", "sm_90"];

    [Theory]
    [MemberData(nameof(Architectures))]
    public void EveryKernel_BuiltForTheArchitecture_IsPtx(string architecture)
    {
        (CudaArchitecture target, CudaInstructionSet set) = architecture == "sm_80" ? (CudaArchitecture.SM_80, CudaInstructionSet.ISA_70) : (CudaArchitecture.SM_90, CudaInstructionSet.ISA_78);
        using Context context = Context.Create(builder => builder.Optimize(OptimizationLevel.O2).PTXBackend(PTXBackendMode.Enhanced));
        using var backend = new PTXBackend(context, target, set, null!);
        MethodInfo[] kernels = [.. DeviceKernels.ForCuda];
        Assert.True(kernels.Length > 60, $"{kernels.Length} kernels");
        string? folder = Environment.GetEnvironmentVariable("LAMINA_PTX_FOLDER");
        foreach (MethodInfo kernel in kernels)
        {
            var compiled = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(kernel), default);
            string ptx = compiled.PTXAssembly, name = DeviceKernels.Name(kernel);
            Assert.True(ptx.Contains(".visible .entry", StringComparison.Ordinal), name);
            Assert.True(ptx.Contains("ld.global.v4.b32", StringComparison.Ordinal) || !name.StartsWith("Multiply", StringComparison.Ordinal), $"{name} loads no sixteen bytes at once");
            Assert.True(ptx.Contains("dp4a.s32.s32", StringComparison.Ordinal) || !name.StartsWith("Multiply", StringComparison.Ordinal) || name.Contains("FloatUnit", StringComparison.Ordinal), $"{name} has no products of bytes");
            if (folder is not null)
            {
                File.WriteAllText(Path.Combine(folder, $"{architecture}-{name}.ptx"), ptx);
            }
        }
    }
}

/// <summary>Every method marked as a kernel, with every type that it is launched with.</summary>
internal static class DeviceKernels
{
    private static readonly Type[] s_floats = [typeof(FormatF32), typeof(FormatF16), typeof(FormatBF16)];
    private static readonly Type[] s_quants = [.. typeof(FormatQ4_0).Assembly.GetTypes().Where(type => type.IsValueType && type.GetInterfaces().Contains(typeof(IFormat<QuantUnit>)))];
    private static readonly Type[] s_caches = [.. typeof(CacheF16).Assembly.GetTypes().Where(type => type.IsValueType && type.GetInterfaces().Contains(typeof(ICacheFormat)))];

    /// <summary>As CUDA's launch profile uses them.</summary>
    public static IEnumerable<MethodInfo> ForCuda => typeof(DeviceKernelAttribute).Assembly.GetTypes()
        .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Public))
        .Where(method => method.GetCustomAttribute<DeviceKernelAttribute>() is not null)
        .SelectMany(Instances);

    public static string Name(MethodInfo kernel) => string.Join('-', kernel.GetGenericArguments().Select(type => type.Name).Prepend(kernel.Name));

    private static IEnumerable<MethodInfo> Instances(MethodInfo method)
    {
        if (!method.IsGenericMethodDefinition)
        {
            return [method];
        }

        string[] parameters = [.. method.GetGenericArguments().Select(type => type.Name)];
        Type team = method.Name == "Norm" ? typeof(GroupTeam) : typeof(WarpTeam);
        IEnumerable<(Type? Format, Type? Unit)> formats =
            parameters.Contains("TUnit") ? s_floats.Select(format => ((Type?)format, (Type?)typeof(FloatUnit))).Concat(s_quants.Select(format => ((Type?)format, (Type?)typeof(QuantUnit))))
            : parameters.Contains("TFormat") ? s_quants.Select(format => ((Type?)format, (Type?)typeof(QuantUnit)))
            : [(null, null)];
        return from format in formats
               from cache in parameters.Contains("TCache") ? s_caches : [typeof(CacheF16)]
               select method.MakeGenericMethod([.. parameters.Select(parameter => parameter switch
               {
                   "TFormat" => format.Format!,
                   "TUnit" => format.Unit!,
                   "TCache" => cache,
                   "TTile" => typeof(LargeTile),
                   _ => team,
               })]);
    }
}
