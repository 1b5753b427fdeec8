export const hot = 'https://shop.localhost/before'
