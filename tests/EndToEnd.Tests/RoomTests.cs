using System.Reflection;

namespace Lamina.EndToEnd.Tests;

/// <summary>The arrows between the rooms, as docs/architecture.md draws them.</summary>
public sealed class RoomTests
{
    [Theory]
    [InlineData("Lamina.Compute", "Akka", "Microsoft.AspNetCore", "Microsoft.Extensions", "MessagePack", "Lamina.")]
    [InlineData("Lamina.Cluster", "Microsoft.AspNetCore", "Lamina.Node", "Lamina.Coordinator", "lamina")]
    [InlineData("Lamina.Node", "Lamina.Coordinator", "lamina")]
    [InlineData("Lamina.Coordinator", "Lamina.Node", "lamina")]
    public void Room_References_KeepTheArrows(string room, params string[] forbidden)
    {
        AssemblyName[] references = Assembly.Load(room).GetReferencedAssemblies();
        Assert.DoesNotContain(references, reference => forbidden.Any(name => reference.Name!.StartsWith(name, StringComparison.Ordinal)));
    }
}
