using System.Reflection;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>The system's Chromium, driven by Playwright; one for all tests of a class.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private static readonly string? s_program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        if (s_program is null) return;
        var package = typeof(Chromium).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "PlaywrightPackage").Value;
        Environment.SetEnvironmentVariable("PLAYWRIGHT_DRIVER_SEARCH_PATH", package);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = s_program, Timeout = 120_000 });
    }

    /// <summary>A page of a browser that has no network; skips the test where there is no Chromium.</summary>
    internal async Task<IPage> NewPageAsync(ColorScheme scheme)
    {
        Assert.SkipWhen(_browser is null, "there is no Chromium on the path");
        var context = await _browser.NewContextAsync(new() { ColorScheme = scheme, Offline = true });
        return await context.NewPageAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
    }
}
