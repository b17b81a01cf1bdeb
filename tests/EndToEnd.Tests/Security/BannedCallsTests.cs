using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Calls that would let one tenant's bytes lie where another's come to stand, or that build types by name: read from the compiled rooms.</summary>
public sealed partial class BannedCallsTests
{
    [Trait("Attack", "E4")]
    [Theory]
    [InlineData("Lamina.Compute")]
    [InlineData("Lamina.Cluster")]
    [InlineData("Lamina.Node")]
    [InlineData("Lamina.Coordinator")]
    public void Room_CallsNoSharedPoolAndLeavesNoMemoryUnwritten(string room)
    {
        string[] called = [.. MembersOf(Assembly.Load(room).Location)];
        Assert.Contains(called, member => member.StartsWith("System.", StringComparison.Ordinal));
        string[] banned =
        [
            "System.Buffers.ArrayPool`1.", "System.Buffers.MemoryPool`1.get_Shared", "System.GC.AllocateUninitializedArray", "System.Runtime.Serialization.Formatters.Binary.BinaryFormatter.", "System.Activator.CreateInstanceFrom",
            "System.Type.GetType", "System.Reflection.Assembly.Load", "System.Reflection.Assembly.LoadFrom",
        ];
        Assert.DoesNotContain(called, member => banned.Any(name => name.EndsWith('.') ? member.StartsWith(name, StringComparison.Ordinal) : member == name));
    }

    /// <summary>
    /// Memory that comes as whoever had it before left it may be asked for in these files alone: what holds tenants' bytes there is overwritten before it is freed, and what comes in was overwritten
    /// before it is read, by zeros or, in a link's buffer, by the bytes that were awaited. The last measures the memory's speed and never holds a tenant's byte.
    /// </summary>
    [Trait("Attack", "E4")]
    [Fact]
    public void Sources_AskForUnwrittenNativeMemory_InKnownFilesThatClearWhatTheyFree()
    {
        string[] clearing = ["src/Cluster/Links/LinkBuffer.cs", "src/Compute/Kernels/NativeBuffer.cs", "src/Node/Pipeline/NativeBuffer.cs"];
        string[] asking = [.. Directory.EnumerateFiles(Repository.File("src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => Allocates().IsMatch(File.ReadAllText(file))).Select(file => Path.GetRelativePath(Repository.Root, file)).Order(StringComparer.Ordinal)];
        Assert.Equal(clearing.Append("src/Node/Hosting/MemorySpeed.cs").Order(StringComparer.Ordinal), asking);
        Assert.All(clearing, file => Assert.Matches(@"NativeMemory\.Clear\([^;]+;\s+NativeMemory\.(Aligned)?Free\(", File.ReadAllText(Repository.File(file))));
    }

    [GeneratedRegex(@"NativeMemory\.(Aligned)?(Alloc|Realloc)\(|Marshal\.(Alloc|ReAlloc)")]
    private static partial Regex Allocates();

    /// <summary>Every method and field of other assemblies that the code refers to, as Type.Member.</summary>
    private static IEnumerable<string> MembersOf(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        MetadataReader metadata = file.GetMetadataReader();
        foreach (MemberReferenceHandle handle in metadata.MemberReferences)
        {
            MemberReference member = metadata.GetMemberReference(handle);
            yield return $"{TypeName(metadata, member.Parent)}.{metadata.GetString(member.Name)}";
        }
    }

    private static string TypeName(MetadataReader metadata, EntityHandle handle)
    {
        switch (handle.Kind)
        {
            case HandleKind.TypeReference:
                TypeReference type = metadata.GetTypeReference((TypeReferenceHandle)handle);
                return $"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}";
            case HandleKind.TypeSpecification:
                // GENERICINST, CLASS or VALUETYPE, then the coded index of the type.
                BlobReader signature = metadata.GetBlobReader(metadata.GetTypeSpecification((TypeSpecificationHandle)handle).Signature);
                return signature.ReadByte() == 0x15 && signature.ReadByte() is 0x12 or 0x11 ? TypeName(metadata, signature.ReadTypeHandle()) : "";
            default:
                return "";
        }
    }
}
