using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Lamina.Deploy.Tests.Kubelet;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>The chart with nothing but a release's name, installed as its notes say.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class InstallationTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Install_WithAReleaseNameAlone_IsReadyWithinAMinuteAndAnswers()
    {
        Assert.SkipWhen(PlayedCluster.Problem() is not null, PlayedCluster.Problem() ?? "");
        await using PlayedCluster cluster = PlayedCluster.Create();
        Release release = Release.Render("");
        long begun = Stopwatch.GetTimestamp();
        Task installed = cluster.ApplyAsync(release.Manifests);
        release.MakeCertificates(cluster);
        await installed;
        output.WriteLine($"ready after {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s");
        Assert.All(cluster.Pods, pod => Assert.Equal(0, pod.Restarts));

        // As through kubectl port-forward: from loopback within the pod.
        using HttpClient forwarded = NamespaceSocket.CreateClient(cluster.Pod("lamina-main-coordinator-0").Space, "127.0.0.1", 8080, "127.0.0.1");
        Assert.NotEmpty(await Chat.AskAsync(forwarded, "Hello"));
        Assert.All(await cluster.TestAsync(), container => Assert.True(container.ExitCode == 0, container.Said));
    }
}
