using System.Text;
using k8s.Models;
using Lamina.Coordinator;
using Lamina.Deploy.Tests.Support;
using Lamina.Node;
using Microsoft.Extensions.Configuration;

namespace Lamina.Deploy.Tests;

/// <summary>What the pods are given is what the product reads: the configuration binds strictly to the options of this build, and its paths are mounted.</summary>
public sealed class ConfigurationTests
{
    public static TheoryData<string> Cases => [.. Chart.Cases.Keys];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Configuration_OfEachPod_BindsToTheOptions(string name)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.Cases[name]);
        string[] all = [.. manifests.Where(manifest => manifest.Value is V1StatefulSet && manifest.Labels["app.kubernetes.io/component"] == "node").Select(manifest => manifest.Labels["lamina.dev/tenant"]).Distinct().Order(StringComparer.Ordinal)];
        Dictionary<string, string[]> seeds = [];
        foreach (Manifest manifest in manifests.Where(manifest => manifest.Value is V1StatefulSet).OrderBy(manifest => manifest.Labels["app.kubernetes.io/component"], StringComparer.Ordinal)) // coordinators first
        {
            var set = (V1StatefulSet)manifest.Value;
            V1PodSpec pod = set.Spec.Template.Spec;
            V1Container container = pod.Containers[0];
            var map = (V1ConfigMap)manifests.Single(other => other.Value is V1ConfigMap && other.Name == manifest.Name && other.Namespace == manifest.Namespace).Value;
            IConfigurationRoot configuration = new ConfigurationBuilder()
                .AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(map.Data["lamina.json"])))
                .AddInMemoryCollection((container.Env ?? []).Where(variable => variable.Name.StartsWith("LAMINA__", StringComparison.Ordinal))
                    .Select(variable => KeyValuePair.Create(variable.Name["LAMINA__".Length..].Replace("__", ":", StringComparison.Ordinal), (string?)variable.Value.Replace("$(POD_NAME)", $"{manifest.Name}-0", StringComparison.Ordinal))))
                .Build();
            string self = $"{manifest.Name}-0.{manifest.Name}.{manifest.Namespace}.svc.";
            if (container.Args[0] == "coordinator")
            {
                CoordinatorOptions options = configuration.GetRequiredSection("Coordinator").Get<CoordinatorOptions>(binder => binder.ErrorOnUnknownConfiguration = true)!;
                bool shared = !manifest.Labels.ContainsKey("lamina.dev/tenant");
                Assert.Equal(shared ? all : [manifest.Labels["lamina.dev/tenant"]], options.Cells.Select(cell => cell.Tenant.Value).Order(StringComparer.Ordinal));
                Assert.StartsWith("127.0.0.1:", options.Admin!.Listen, StringComparison.Ordinal);
                if (container.Ports.Any(port => port.Name == "api"))
                {
                    Assert.StartsWith("0.0.0.0:", options.Listen, StringComparison.Ordinal);
                    RequireMounted(container, [options.Tls!.CertificatePath, options.Tls.KeyPath]);
                    var service = (V1Service)manifests.Single(other => other.Value is V1Service && other.Name == manifest.Name[..^"coordinator".Length] + "api" && other.Namespace == manifest.Namespace).Value;
                    Assert.Equal("api", Assert.Single(service.Spec.Ports).TargetPort.Value);
                    Assert.All(service.Spec.Selector, label => Assert.Equal(label.Value, set.Spec.Template.Metadata.Labels[label.Key]));
                }
                else
                {
                    Assert.StartsWith("127.0.0.1:", options.Listen, StringComparison.Ordinal);
                    Assert.Null(options.Tls);
                }

                Assert.Equal(
                    Chart.Cases[name].Contains("securityContact", StringComparison.Ordinal) ? ("mailto:security@example.org", "https://example.org/disclosure") : (null, null),
                    (options.SecurityContact?.Contact, options.SecurityContact?.Policy));
                Assert.True(options.LingerSeconds + options.DrainSeconds + 10 <= pod.TerminationGracePeriodSeconds);
                if (options.Database is { } database)
                {
                    RequireMounted(container, [options.SecretPath!, .. database.Split(';').Select(part => part.Split('=')[1]).Where(value => value[0] == '/')]);
                    Assert.DoesNotContain("Password", database, StringComparison.OrdinalIgnoreCase);
                    Assert.StartsWith("/etc/lamina/database/", options.SecretPath, StringComparison.Ordinal);
                }

                foreach (CellOptions cell in options.Cells)
                {
                    Assert.StartsWith(self, cell.PublicHost, StringComparison.Ordinal);
                    Assert.Equal($"{manifest.Name}-0", cell.Name);
                    seeds[cell.Tenant.Value] = [.. cell.Seeds.Select(seed => seed.ToString())];
                    Assert.Equal(Enumerable.Range(0, set.Spec.Replicas ?? 1).Select(ordinal => $"{manifest.Name}-{ordinal}{cell.PublicHost![$"{manifest.Name}-0".Length..]}:{cell.ControlPort}"), seeds[cell.Tenant.Value]);
                    Assert.All(cell.Import.SigningKeys, key => Assert.StartsWith("-----BEGIN PUBLIC KEY-----", map.Data[key["/etc/lamina/config/".Length..]], StringComparison.Ordinal));
                    RequireMounted(container, [cell.CertificatePath, cell.KeyPath, cell.TrustBundlePath, options.StorePath, .. cell.Models.Select(model => model.Path).Where(path => !path.StartsWith("/app/", StringComparison.Ordinal))]);

                    // Its certificates, and the models of its claim, and those of no other cell.
                    string own = shared ? $"/{cell.Tenant}" : "";
                    Assert.Equal($"/etc/lamina/pki{own}/{manifest.Name}-0.crt", cell.CertificatePath);
                    Assert.Equal($"/etc/lamina/pki{own}/ca.crt", cell.TrustBundlePath);
                    V1Volume pki = VolumeAt(pod, $"/etc/lamina/pki{own}")!;
                    Assert.All(pki.Secret is { } secret ? [secret.SecretName] : pki.Projected.Sources.Select(source => source.Secret.Name), secret => Assert.StartsWith($"lamina-{cell.Tenant}-coordinator-", secret, StringComparison.Ordinal));
                    Assert.Equal(cell.Models.Any(model => model.Path.StartsWith("/models/", StringComparison.Ordinal)) ? $"{cell.Tenant}-models" : null, VolumeAt(pod, $"/models{own}")?.PersistentVolumeClaim.ClaimName);
                    Assert.All(cell.Models.Where(model => model.Path.StartsWith("/models/", StringComparison.Ordinal)), model => Assert.StartsWith($"/models{own}/", model.Path, StringComparison.Ordinal));
                }

                Assert.Equal(map.Data.Count - 1, options.Cells.Sum(cell => cell.Import.SigningKeys.Count));
                int[] ports = [.. options.Cells.SelectMany(cell => new[] { cell.ControlPort, cell.LinkPort })];
                Assert.Equal(ports, container.Ports.Where(port => port.Name.StartsWith("control", StringComparison.Ordinal) || port.Name.StartsWith("link", StringComparison.Ordinal)).Select(port => port.ContainerPort));
                Assert.Equal(ports.Length, ports.Distinct().Count());
            }
            else
            {
                NodeOptions options = configuration.GetRequiredSection("Node").Get<NodeOptions>(binder => binder.ErrorOnUnknownConfiguration = true)!;
                Assert.Equal($"{manifest.Name}-0", options.Name.Value);
                Assert.StartsWith(self, options.PublicHost, StringComparison.Ordinal);
                Assert.Equal(manifest.Labels["lamina.dev/tenant"], options.Tenant.Value);
                Assert.Equal(seeds[options.Tenant.Value], options.Seeds.Select(seed => seed.ToString()));
                Assert.Equal(container.Resources.Limits.ContainsKey("nvidia.com/gpu") ? "cuda:0" : "cpu", options.Device);
                Assert.True(options.DrainSeconds + 10 <= pod.TerminationGracePeriodSeconds);
                RequireMounted(container, [options.CertificatePath, options.KeyPath, options.TrustBundlePath, options.CachePath]);
                Assert.Equal($"/etc/lamina/pki/{manifest.Name}-0.crt", options.CertificatePath);
            }

            string health = configuration["Health:Listen"]!;
            Assert.Equal(container.Ports.Single(port => port.Name == "health").ContainerPort.ToString(System.Globalization.CultureInfo.InvariantCulture), health.Split(':')[1]);
        }
    }

    private static V1Volume? VolumeAt(V1PodSpec pod, string path) =>
        pod.Containers[0].VolumeMounts.SingleOrDefault(mount => mount.MountPath == path) is { } mount ? pod.Volumes.Single(volume => volume.Name == mount.Name) : null;

    private static void RequireMounted(V1Container container, string[] paths) =>
        Assert.All(paths, path => Assert.Contains(container.VolumeMounts, mount => path.StartsWith(mount.MountPath + "/", StringComparison.Ordinal)));
}
